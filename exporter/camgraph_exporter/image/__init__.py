"""What a graph itself says about its image input: the axis and number of its channels, and its values."""
