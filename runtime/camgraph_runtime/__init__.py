"""camgraph in one process: an image in, heatmaps of where the model looked out.

The names below are imported when they are used: an error, a target or a result takes NumPy alone.
"""

from typing import TYPE_CHECKING

from camgraph_runtime.lazy import lazy_names

if TYPE_CHECKING:
    from camgraph_runtime.engine import Engine, TensorInfo
    from camgraph_runtime.errors import (
        CamgraphError,
        DeviceError,
        InferenceError,
        InvalidGraphError,
        InvalidInputError,
        TargetError,
        UnknownLayerError,
        UnsupportedError,
        UsageError,
    )
    from camgraph_runtime.explainer import Explainer, Limits
    from camgraph_runtime.explanation import Explanation
    from camgraph_runtime.manifest import (
        FORMAT_VERSION,
        METADATA_KEY,
        Manifest,
        manifest_from_json,
        manifest_from_metadata,
        manifest_to_json,
    )
    from camgraph_runtime.result import ClassScore, Result, Timings
    from camgraph_runtime.statistics import MapStatistics
    from camgraph_runtime.target import Target
    from camgraph_runtime.threads import Threads

_MODULE_OF = {
    "FORMAT_VERSION": "manifest",
    "METADATA_KEY": "manifest",
    "CamgraphError": "errors",
    "ClassScore": "result",
    "DeviceError": "errors",
    "Engine": "engine",
    "Explainer": "explainer",
    "Explanation": "explanation",
    "InferenceError": "errors",
    "InvalidGraphError": "errors",
    "InvalidInputError": "errors",
    "Limits": "explainer",
    "Manifest": "manifest",
    "MapStatistics": "statistics",
    "Result": "result",
    "Target": "target",
    "TargetError": "errors",
    "TensorInfo": "engine",
    "Threads": "threads",
    "Timings": "result",
    "UnknownLayerError": "errors",
    "UnsupportedError": "errors",
    "UsageError": "errors",
    "manifest_from_json": "manifest",
    "manifest_from_metadata": "manifest",
    "manifest_to_json": "manifest",
}

__all__ = [
    "FORMAT_VERSION",
    "METADATA_KEY",
    "CamgraphError",
    "ClassScore",
    "DeviceError",
    "Engine",
    "Explainer",
    "Explanation",
    "InferenceError",
    "InvalidGraphError",
    "InvalidInputError",
    "Limits",
    "Manifest",
    "MapStatistics",
    "Result",
    "Target",
    "TargetError",
    "TensorInfo",
    "Threads",
    "Timings",
    "UnknownLayerError",
    "UnsupportedError",
    "UsageError",
    "manifest_from_json",
    "manifest_from_metadata",
    "manifest_to_json",
]

__getattr__, __dir__ = lazy_names(__name__, _MODULE_OF)
