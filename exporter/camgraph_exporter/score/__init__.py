"""Which tensor is the score, and what the model makes of it: the head, found by what it computes."""
