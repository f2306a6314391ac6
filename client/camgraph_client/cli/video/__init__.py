"""`camgraph explain` of a video: frame by frame, as a video again."""
