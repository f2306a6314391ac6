"""Targets in the graph: the inputs that name them, ranks and one-hot rows, of which each task builds its head."""
