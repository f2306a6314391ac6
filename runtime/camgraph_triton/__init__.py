"""Explainable graphs for the Triton Inference Server: its model repository, and what runs inside it."""
