"""Memory banks: how far each place of an image is from everything that good images showed (Roth et al. 2022)."""
