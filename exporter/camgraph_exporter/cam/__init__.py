"""What Grad-CAM needs of a model: the score, the target layers, the targets, and the outputs."""
