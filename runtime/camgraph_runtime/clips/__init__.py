"""Clips and volumes: several frames or slices in, maps over space and time out."""
