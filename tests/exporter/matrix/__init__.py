"""Architectures in PyTorch with random weights, and the comparison of their exported gradients with autograd."""
