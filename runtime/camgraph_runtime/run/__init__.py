"""Runs the graph with onnxruntime: engine, providers, threads."""
