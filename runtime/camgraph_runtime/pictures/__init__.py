"""Heatmaps as people see them: colours, overlays, panels."""
