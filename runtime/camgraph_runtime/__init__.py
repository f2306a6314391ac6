"""camgraph in one process: an image in, heatmaps of where the model looked out.

The names below are imported when they are used: an error, a target or a result takes NumPy alone.
"""

from typing import TYPE_CHECKING

from camgraph_core.lazy import lazy_names

if TYPE_CHECKING:
    from camgraph_core.clips import ClipExplanation, ClipResult
    from camgraph_core.errors import (
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
    from camgraph_core.explanation import Explanation
    from camgraph_core.place import Box, DetectedObject, Direction, Mask, Point, Polygon, References, Region
    from camgraph_core.rectangle import Rectangle
    from camgraph_core.regions import HotRegion
    from camgraph_core.result import ClassScore, Result, Timings
    from camgraph_core.statistics import MapStatistics
    from camgraph_core.target import Rank, Target
    from camgraph_runtime.bank.memory_bank import MemoryBank
    from camgraph_runtime.bank_builder import build_bank
    from camgraph_runtime.clips.explainer import ClipExplainer
    from camgraph_runtime.explainer import Explainer
    from camgraph_runtime.limits import Limits
    from camgraph_runtime.manifest import (
        FORMAT_VERSION,
        METADATA_KEY,
        Manifest,
        manifest_from_json,
        manifest_from_metadata,
        manifest_to_json,
    )
    from camgraph_runtime.run.batch import Batching
    from camgraph_runtime.run.engine import Engine, TensorInfo
    from camgraph_runtime.run.threads import Threads
    from camgraph_runtime.scene.explainer import SceneExplainer

_MODULE_OF = {
    "FORMAT_VERSION": "manifest",
    "METADATA_KEY": "manifest",
    "Batching": "run.batch",
    "Box": "camgraph_core.place",
    "CamgraphError": "camgraph_core.errors",
    "ClassScore": "camgraph_core.result",
    "ClipExplainer": "clips.explainer",
    "ClipExplanation": "camgraph_core.clips",
    "ClipResult": "camgraph_core.clips",
    "DetectedObject": "camgraph_core.place",
    "DeviceError": "camgraph_core.errors",
    "Direction": "camgraph_core.place",
    "Engine": "run.engine",
    "Explainer": "explainer",
    "Explanation": "camgraph_core.explanation",
    "HotRegion": "camgraph_core.regions",
    "InferenceError": "camgraph_core.errors",
    "InvalidGraphError": "camgraph_core.errors",
    "InvalidInputError": "camgraph_core.errors",
    "Limits": "limits",
    "Mask": "camgraph_core.place",
    "Manifest": "manifest",
    "MemoryBank": "bank.memory_bank",
    "MapStatistics": "camgraph_core.statistics",
    "Point": "camgraph_core.place",
    "Polygon": "camgraph_core.place",
    "Rank": "camgraph_core.target",
    "Rectangle": "camgraph_core.rectangle",
    "References": "camgraph_core.place",
    "Region": "camgraph_core.place",
    "Result": "camgraph_core.result",
    "SceneExplainer": "scene.explainer",
    "Target": "camgraph_core.target",
    "TargetError": "camgraph_core.errors",
    "TensorInfo": "run.engine",
    "Threads": "run.threads",
    "Timings": "camgraph_core.result",
    "UnknownLayerError": "camgraph_core.errors",
    "UnsupportedError": "camgraph_core.errors",
    "UsageError": "camgraph_core.errors",
    "build_bank": "bank_builder",
    "manifest_from_json": "manifest",
    "manifest_from_metadata": "manifest",
    "manifest_to_json": "manifest",
}

__all__ = [
    "FORMAT_VERSION",
    "METADATA_KEY",
    "Batching",
    "Box",
    "CamgraphError",
    "ClassScore",
    "ClipExplainer",
    "ClipExplanation",
    "ClipResult",
    "DetectedObject",
    "DeviceError",
    "Direction",
    "Engine",
    "Explainer",
    "Explanation",
    "HotRegion",
    "InferenceError",
    "InvalidGraphError",
    "InvalidInputError",
    "Limits",
    "Manifest",
    "MapStatistics",
    "Mask",
    "MemoryBank",
    "Point",
    "Polygon",
    "Rank",
    "Rectangle",
    "References",
    "Region",
    "Result",
    "SceneExplainer",
    "Target",
    "TargetError",
    "TensorInfo",
    "Threads",
    "Timings",
    "UnknownLayerError",
    "UnsupportedError",
    "UsageError",
    "build_bank",
    "manifest_from_json",
    "manifest_from_metadata",
    "manifest_to_json",
]

__getattr__, __dir__ = lazy_names(__name__, _MODULE_OF)
