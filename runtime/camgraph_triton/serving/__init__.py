"""What runs inside Triton's Python backend: the two models of a graph, and how one of them asks the other."""
