"""What the axes of every value mean, and where its elements lie on the image."""
