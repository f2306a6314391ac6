"""Several processes that serve one port together, and the one that keeps them alive."""
