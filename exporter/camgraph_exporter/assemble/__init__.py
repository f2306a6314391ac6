"""Appends what an explainable graph has more than its model: targets, gradients, outputs."""
