"""Which score is explained, and at which layers: what the user names, or what the tasks choose."""
