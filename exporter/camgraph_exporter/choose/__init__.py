"""Chooses the score to explain and its target layers: what the user names, or what the tasks choose."""
