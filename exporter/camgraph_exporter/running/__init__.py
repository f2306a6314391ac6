"""Models in onnxruntime while they are rewritten: loading them whole, and reading off what a run shows."""
