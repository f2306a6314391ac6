"""The boxes of a detector: which tensor holds them, how its numbers read, and the output that gives them."""
