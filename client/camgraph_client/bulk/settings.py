"""What `camgraph bulk` is told."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from camgraph_client.bulk.maps import Kind, Numbers
from camgraph_client.cli.targets import targets_of
from camgraph_core.errors import UsageError
from camgraph_core.request import Request
from camgraph_core.settings import Setting, check_settings
from camgraph_core.target import Target
from camgraph_runtime import Limits
from camgraph_runtime.maps.cam import METHODS

_REQUEST, _LIMITS = Request(), Limits()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is explained of each image, and what is kept of it."""

    target: Annotated[
        tuple[str, ...],
        Setting("Class to explain: index, label, or -R for the class of rank R; repeatable.", repeated=True),
    ] = ()
    top_k: Annotated[
        int, Setting("Also explain the K best classes; of a detection the K best objects.", at_least=0)
    ] = 0
    contrast: Annotated[
        str | None, Setting("Hold each target against this class: why it, and not this one?", metavar="N|LABEL|-R")
    ] = None
    negative: Annotated[bool, Setting("Show what speaks against each target.")] = False
    method: Annotated[
        str | None, Setting("How the map is made; default: as the graph says.", choices=tuple(METHODS))
    ] = None
    layer: Annotated[
        tuple[str, ...],
        Setting("Target layer; repeatable, several are fused. Default: the graph's first.", repeated=True),
    ] = ()
    predictions: Annotated[int, Setting("Number of best classes (of a detection, objects) to keep.", at_least=0)] = (
        _REQUEST.num_predictions
    )
    score_threshold: Annotated[
        float, Setting("Detection: least score of an object that is listed.", at_least=0, at_most=1)
    ] = _REQUEST.score_threshold
    iou_threshold: Annotated[
        float,
        Setting(
            "Detection: two boxes of a class that overlap by more than this share are one object.",
            at_least=0,
            at_most=1,
        ),
    ] = _REQUEST.iou_threshold
    scaled_decoding: Annotated[
        bool, Setting("Decode a large JPEG at 1/2, 1/4 or 1/8 of its size: faster, and scores move a little.")
    ] = False
    map: Annotated[
        Kind,
        Setting(
            "Which map is kept: heatmap in the frame of the photo, input-heatmap in that of the network's input, both "
            "in 0..1; signed, the layer's own cells before ReLU and scaling; or none."
        ),
    ] = "heatmap"
    numbers: Annotated[
        Numbers,
        Setting(
            "What maps are kept as, each with its scale: 8bit is uint8 for heatmaps and int8 for signed maps; float16."
        ),
    ] = "8bit"
    max_side: Annotated[int, Setting("Longest side of a map in the frame of the photo, in pixels.", at_least=1)] = 224

    def __post_init__(self) -> None:
        check_settings(self)

    @cached_property
    def keywords(self) -> dict[str, Any]:
        """The keywords of `Explains.explain`, the same for each image."""
        targets, top_k = targets_of(
            named=[Target.parse(text) for text in self.target],
            top_k=self.top_k,
            contrast=None if self.contrast is None else Target.parse(self.contrast),
            negative=self.negative,
        )
        return {
            "targets": targets,
            "top_k": top_k,
            "method": self.method,
            "layers": self.layer,
            "num_predictions": self.predictions,
            "score_threshold": self.score_threshold,
            "iou_threshold": self.iou_threshold,
            "scaled_decoding": self.scaled_decoding,
            "max_side": self.max_side,
            **({"profile": "raw"} if self.map == "signed" else {}),
        }


@dataclass(frozen=True, kw_only=True)
class Lists:
    """How lists of images are read."""

    column: Annotated[str, Setting("Column of Parquet files that has the paths of images.")] = "path"
    target_column: Annotated[
        str | None,
        Setting(
            "Column of Parquet files that has the class to explain of each image, by index, label or -R; where it is "
            "empty, --target and --top-k hold."
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where it runs."""

    ray: Annotated[
        str | None,
        Setting(
            "Address of a Ray cluster, such as auto on one of its machines. Default: Ray is started on this machine, "
            "and ends with the run.",
            metavar="ADDRESS",
        ),
    ] = None
    workers: Annotated[
        int, Setting("Processes that explain; 0 means as many as there are CPUs (or GPUs) for.", at_least=0)
    ] = 0
    cpus_per_worker: Annotated[int, Setting("CPUs of each process.", at_least=1)] = 1
    gpus_per_worker: Annotated[
        float, Setting("GPUs of each process, such as 1 or 0.5; go with --device cuda.", at_least=0)
    ] = 0.0
    device: Annotated[
        str, Setting("Where the graph runs: cpu, auto, or a provider of onnxruntime as NAME[:KEY=VALUE,...].")
    ] = "cpu"
    object_store_mib: Annotated[int, Setting("Shared memory of a Ray that is started here, in MiB.", at_least=80)] = 200
    images_per_file: Annotated[
        int,
        Setting("Images of one file of results, which is also what is done again if a process ends.", at_least=1),
    ] = 256
    max_image_mib: Annotated[int, Setting("Largest file of an image, in MiB.", at_least=1)] = 64
    max_megapixels: Annotated[float, Setting("Largest image, in millions of pixels.", above=0, at_most=2000)] = (
        _LIMITS.max_pixels / 1e6
    )
    retry_failed: Annotated[
        bool, Setting("Do the files again in which an image has an error, such as one of the network.")
    ] = False

    def __post_init__(self) -> None:
        check_settings(self, self._check_gpus)

    def _check_gpus(self) -> None:
        if self.gpus_per_worker == 0 and self.device not in ("cpu", "auto") and self.device.startswith("cuda"):
            raise UsageError("--device cuda needs --gpus-per-worker, by which Ray gives each process its GPU.")
