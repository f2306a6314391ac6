"""Ways in: from a file or a module to an in-memory ONNX model."""
