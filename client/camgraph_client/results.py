"""From response messages to Python values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.manifest_pb2 import Manifest
from camgraph_core.models import ModelInfo
from camgraph_core.result import ClassScore, Timings
from camgraph_core.statistics import MapStatistics
from camgraph_wire.arrays import array_from
from camgraph_wire.scores import score_from, statistics_from, timings_from


@dataclass(frozen=True)
class RemoteExplanation:
    """The explanation of one target. An output that was not asked for is None, or empty if it comes by layer.

    Attributes:
        target: the class that the target resolved to, with its score; see `camgraph_runtime.ClassScore`.
        contrast: the class that it was held against.
        statistics: of the signed map before ReLU.
        layers: names of the layers that were used.
        method: name of the method that was used.
        heatmap: float32 [H, W] in the frame of the photo.
        heatmap_png: the heatmap as 8-bit grey PNG.
        overlay_png: the overlay on the photo as PNG.
        overlay_jpeg: the overlay on the photo as JPEG.
        input_heatmap: float32 [H_in, W_in] in the frame of the network's input.
        raw_maps: the signed map before ReLU, float32 [h, w], by layer.
        weights: the channel weights, float32 [K], by layer.
        activations: float32 [K, h, w], by layer.
        guided: Guided Grad-CAM, signed float32 [H_in, W_in, 3], RGB, in the frame of the network's input.
        guided_png: the same as PNG in the frame of the photo.
    """

    target: ClassScore
    contrast: ClassScore | None
    statistics: MapStatistics
    layers: tuple[str, ...]
    method: str
    heatmap: NDArray[np.float32] | None
    heatmap_png: bytes | None
    overlay_png: bytes | None
    overlay_jpeg: bytes | None
    input_heatmap: NDArray[np.float32] | None
    raw_maps: dict[str, NDArray[np.float32]]
    weights: dict[str, NDArray[np.float32]]
    activations: dict[str, NDArray[np.float32]]
    guided: NDArray[np.float32] | None
    guided_png: bytes | None


@dataclass(frozen=True)
class RemoteResult:
    """The answer to one `explain` call.

    Attributes:
        model_name: the model that answered.
        model_version: its version.
        predictions: best first: classes by score; of a segmentation by area; of a detection the best boxes,
            each with its best class; of a regression the model's numbers; of an embedding none.
        explanations: one a target, in the order of the request.
        timings: where the time went on the server.
        warnings: remarks for the user, one sentence each.
        image_size: (width, height) of the upright photo in pixels; (0, 0) for a tensor.
        request_id: echo of the request.
    """

    model_name: str
    model_version: str
    predictions: list[ClassScore]
    explanations: list[RemoteExplanation]
    timings: Timings
    warnings: list[str]
    image_size: tuple[int, int]
    request_id: str


@dataclass(frozen=True)
class ModelDetails:
    """A model with its whole manifest, which is empty unless the model is ready."""

    info: ModelInfo
    manifest: Manifest


def result_from(response: pb.ExplainResponse) -> RemoteResult:
    """The result of a response."""
    return RemoteResult(
        model_name=response.model_name,
        model_version=response.model_version,
        predictions=[score_from(score) for score in response.predictions],
        explanations=[_explanation(explanation) for explanation in response.explanations],
        timings=timings_from(response.timings),
        warnings=list(response.warnings),
        image_size=(response.image_width, response.image_height),
        request_id=response.request_id,
    )


def _explanation(message: pb.Explanation) -> RemoteExplanation:
    once = {output.kind: output for output in message.outputs}
    return RemoteExplanation(
        target=score_from(message.target),
        contrast=score_from(message.contrast) if message.HasField("contrast") else None,
        statistics=statistics_from(message.statistics),
        layers=tuple(message.layers),
        method=message.method,
        heatmap=_array(once.get(pb.OUTPUT_KIND_HEATMAP)),
        heatmap_png=_encoded(once.get(pb.OUTPUT_KIND_HEATMAP_PNG)),
        overlay_png=_encoded(once.get(pb.OUTPUT_KIND_OVERLAY_PNG)),
        overlay_jpeg=_encoded(once.get(pb.OUTPUT_KIND_OVERLAY_JPEG)),
        input_heatmap=_array(once.get(pb.OUTPUT_KIND_INPUT_HEATMAP)),
        raw_maps=_by_layer(message, pb.OUTPUT_KIND_RAW_MAP),
        weights=_by_layer(message, pb.OUTPUT_KIND_WEIGHTS),
        activations=_by_layer(message, pb.OUTPUT_KIND_ACTIVATIONS),
        guided=_array(once.get(pb.OUTPUT_KIND_GUIDED)),
        guided_png=_encoded(once.get(pb.OUTPUT_KIND_GUIDED_PNG)),
    )


def _by_layer(message: pb.Explanation, kind: int) -> dict[str, NDArray[Any]]:
    return {output.layer: array_from(output.tensor) for output in message.outputs if output.kind == kind}


def _array(output: pb.Output | None) -> NDArray[Any] | None:
    return None if output is None else array_from(output.tensor)


def _encoded(output: pb.Output | None) -> bytes | None:
    return None if output is None else output.encoded
