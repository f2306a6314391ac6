"""Rewrites a trained vision model into an ONNX graph that also computes Grad-CAM's ingredients.

::

    from camgraph_exporter import Input, export

    exported = export("model.onnx", "model.cam.onnx", layers="layer4", input=Input.preset("imagenet"))

All public names are here. They are imported when they are used, so that `camgraph --help` waits for neither onnx nor
PyTorch.
"""

from typing import TYPE_CHECKING

from camgraph_core.lazy import lazy_names

if TYPE_CHECKING:
    from camgraph_core.errors import CamgraphError, UsageError
    from camgraph_exporter.api import Verification, export, inspect, verify
    from camgraph_exporter.certificate.certify import ProgressCallback
    from camgraph_exporter.errors import (
        CertificateError,
        ExportError,
        GradientError,
        LayerError,
        ModelFileError,
        ModuleError,
        ScoreError,
        UnknownTensorError,
    )
    from camgraph_exporter.frontends.source import Source
    from camgraph_exporter.image.options import PRESETS, Input
    from camgraph_exporter.inspection import Candidate, Inspection
    from camgraph_exporter.pipeline import Exported

_MODULE_OF = {
    "CamgraphError": "camgraph_core.errors",
    "Candidate": "inspection",
    "CertificateError": "errors",
    "ExportError": "errors",
    "Exported": "pipeline",
    "GradientError": "errors",
    "Input": "image.options",
    "Inspection": "inspection",
    "LayerError": "errors",
    "ModelFileError": "errors",
    "ModuleError": "errors",
    "PRESETS": "image.options",
    "ProgressCallback": "certificate.certify",
    "ScoreError": "errors",
    "Source": "frontends.source",
    "UnknownTensorError": "errors",
    "UsageError": "camgraph_core.errors",
    "Verification": "api",
    "export": "api",
    "inspect": "api",
    "verify": "api",
}

__all__ = [
    "PRESETS",
    "CamgraphError",
    "Candidate",
    "CertificateError",
    "ExportError",
    "Exported",
    "GradientError",
    "Input",
    "Inspection",
    "LayerError",
    "ModelFileError",
    "ModuleError",
    "ProgressCallback",
    "ScoreError",
    "Source",
    "UnknownTensorError",
    "UsageError",
    "Verification",
    "export",
    "inspect",
    "verify",
]

__getattr__, __dir__ = lazy_names(__name__, _MODULE_OF)
