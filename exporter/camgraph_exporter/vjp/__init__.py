"""Reverse-mode differentiation of ONNX graphs: a registry of rules and the driver that applies them."""
