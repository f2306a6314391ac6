"""Appends what an explainable graph has beside its model: targets, gradients, outputs."""
