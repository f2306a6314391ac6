"""Python client of a camgraph server, and the root of the command line."""
