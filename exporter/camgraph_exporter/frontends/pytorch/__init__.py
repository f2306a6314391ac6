"""Turns PyTorch modules as people have them into ONNX models: `module.load_module`.

They come wrapped, compiled, scripted, with several inputs, with settings of their own. `files` and `preprocessing` do
not need PyTorch.
"""
