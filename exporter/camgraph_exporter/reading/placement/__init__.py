"""Follows where the cells of every feature map lie on the image."""
