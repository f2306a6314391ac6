"""Models: which ones there are, their files, their states."""
