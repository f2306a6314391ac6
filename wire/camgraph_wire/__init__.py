"""Between the messages of `camgraph.v1` and the values of `camgraph_core`: each conversion once, for both ends."""
