"""What every part of camgraph shares: errors, targets, results. NumPy is all that it takes."""
