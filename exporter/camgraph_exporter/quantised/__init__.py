"""Models of 8-bit and 16-bit integers: what their integers stand for, how they are shown, read and stored."""
