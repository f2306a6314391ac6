"""PyTorch modules as people have them: wrapped, compiled, scripted, with several inputs, with settings of their own."""
