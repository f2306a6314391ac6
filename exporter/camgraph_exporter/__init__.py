"""Rewrites a trained vision model into an ONNX graph that also computes Grad-CAM's ingredients."""

from camgraph_exporter.export import Exported, ExportOptions, export, export_file
from camgraph_exporter.export_torch import export_module

__all__ = ["ExportOptions", "Exported", "export", "export_file", "export_module"]
