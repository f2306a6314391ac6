"""Makes a model easy to differentiate without changing what it computes."""
