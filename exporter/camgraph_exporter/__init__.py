"""Rewrites a trained vision model into an ONNX graph that also computes Grad-CAM's ingredients.

The names below are imported when they are used, so that `camgraph --help` waits for neither onnx nor PyTorch.
"""

from typing import TYPE_CHECKING

from camgraph_core.lazy import lazy_names

if TYPE_CHECKING:
    from camgraph_exporter.export_torch import export_module, export_torch_file
    from camgraph_exporter.pipeline import Exported, ExportOptions, export_file
    from camgraph_exporter.pipeline import export as export_model

_MODULE_OF = {
    "ExportOptions": "pipeline",
    "Exported": "pipeline",
    "export_file": "pipeline",
    "export_model": "pipeline:export",
    "export_module": "export_torch",
    "export_torch_file": "export_torch",
}

__all__ = ["ExportOptions", "Exported", "export_file", "export_model", "export_module", "export_torch_file"]

__getattr__, __dir__ = lazy_names(__name__, _MODULE_OF)
