"""Rewrites a trained vision model into an ONNX graph that also computes Grad-CAM's ingredients."""
