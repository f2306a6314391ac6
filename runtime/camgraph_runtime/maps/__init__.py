"""From activations and gradients to a heatmap: methods, profiles, places."""
