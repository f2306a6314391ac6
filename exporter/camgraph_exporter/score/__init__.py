"""Finds the scores that an output shows, and their head: what the model makes of them."""
