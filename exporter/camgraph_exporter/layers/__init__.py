"""Which maps can be explained, and which of them is meant."""
