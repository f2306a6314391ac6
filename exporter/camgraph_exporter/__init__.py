"""Rewrites a trained vision model into an ONNX graph that also computes Grad-CAM's ingredients."""

# Named unlike its module, which `camgraph_exporter.export` is.
from camgraph_exporter.export import Exported, ExportOptions, export_file
from camgraph_exporter.export import export as export_model
from camgraph_exporter.export_torch import export_module, export_torch_file

__all__ = ["ExportOptions", "Exported", "export_file", "export_model", "export_module", "export_torch_file"]
