"""camgraph in one process: an image in, heatmaps of where the model looked out."""

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
from camgraph_runtime.manifest import (
    FORMAT_VERSION,
    METADATA_KEY,
    Manifest,
    manifest_from_json,
    manifest_from_metadata,
    manifest_to_json,
)
from camgraph_runtime.result import ClassScore, Explanation, Result, Timings
from camgraph_runtime.statistics import MapStatistics
from camgraph_runtime.target import Target
from camgraph_runtime.threads import Threads

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
