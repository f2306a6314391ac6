"""Graph plumbing: reading the source graph and appending nodes to it."""
