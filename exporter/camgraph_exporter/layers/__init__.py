"""The feature maps of a model: which can be explained, how they hang together, and which of them Grad-CAM means."""
