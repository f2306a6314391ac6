"""From response messages to Python values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.manifest_pb2 import Manifest
from camgraph_client.requests import METHODS
from camgraph_runtime import ClassScore, MapStatistics

_METHOD_NAMES = {value: name for name, value in METHODS.items()}
_STATES = {
    pb.MODEL_STATE_LOADING: "loading",
    pb.MODEL_STATE_READY: "ready",
    pb.MODEL_STATE_FAILED: "failed",
}


@dataclass(frozen=True)
class CallTimings:
    """Wall-clock time of each stage on the server, in milliseconds; see `camgraph.v1.Timings`."""

    queue_ms: float
    decode_ms: float
    preprocess_ms: float
    inference_ms: float
    postprocess_ms: float
    render_ms: float
    total_ms: float


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
    timings: CallTimings
    warnings: list[str]
    image_size: tuple[int, int]
    request_id: str


@dataclass(frozen=True)
class ModelInfo:
    """A model of the server's repository.

    Attributes:
        name: its name.
        version: a decimal number as text.
        state: "ready", "loading" or "failed".
        reason: why it is not ready.
        num_classes: number of classes.
        layers: names of the layers that can be explained, default first.
        execution_provider: onnxruntime's, such as "CPUExecutionProvider".
    """

    name: str
    version: str
    state: str
    reason: str
    num_classes: int
    layers: tuple[str, ...]
    execution_provider: str


@dataclass(frozen=True)
class ModelDetails:
    """A model with its whole manifest, which is empty unless the model is ready."""

    info: ModelInfo
    manifest: Manifest


def result_from(response: pb.ExplainResponse) -> RemoteResult:
    """The result of a response."""
    timings = response.timings
    return RemoteResult(
        model_name=response.model_name,
        model_version=response.model_version,
        predictions=[_class_score(score) for score in response.predictions],
        explanations=[_explanation(explanation) for explanation in response.explanations],
        timings=CallTimings(**{field: getattr(timings, field) for field in CallTimings.__dataclass_fields__}),
        warnings=list(response.warnings),
        image_size=(response.image_width, response.image_height),
        request_id=response.request_id,
    )


def model_info_from(message: pb.ModelInfo) -> ModelInfo:
    """The description of a model."""
    return ModelInfo(
        name=message.name,
        version=message.version,
        state=_STATES.get(message.state, "unknown"),
        reason=message.reason,
        num_classes=message.num_classes,
        layers=tuple(message.layers),
        execution_provider=message.execution_provider,
    )


def _explanation(message: pb.Explanation) -> RemoteExplanation:
    once = {output.kind: output for output in message.outputs}
    return RemoteExplanation(
        target=_class_score(message.target),
        contrast=_class_score(message.contrast) if message.HasField("contrast") else None,
        statistics=_statistics(message.statistics),
        layers=tuple(message.layers),
        method=_METHOD_NAMES.get(message.method, ""),
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


def _class_score(message: pb.ClassScore) -> ClassScore:
    return ClassScore(
        class_index=message.class_index,
        label=message.label,
        score=message.score,
        probability=message.probability if message.HasField("probability") else math.nan,
        anchor=message.anchor_index if message.HasField("anchor_index") else None,
        area=message.area if message.HasField("area") else None,
        value=message.value if message.HasField("value") else None,
    )


def _statistics(message: pb.MapStatistics) -> MapStatistics:
    return MapStatistics(
        minimum=message.minimum,
        maximum=message.maximum,
        mean=message.mean,
        positive_share=message.positive_share,
        all_nonpositive=message.all_nonpositive,
        constant=message.constant,
        nonfinite=message.nonfinite,
    )


def _by_layer(message: pb.Explanation, kind: int) -> dict[str, NDArray[Any]]:
    return {output.layer: _array_of(output.tensor) for output in message.outputs if output.kind == kind}


def _array(output: pb.Output | None) -> NDArray[Any] | None:
    return None if output is None else _array_of(output.tensor)


def _encoded(output: pb.Output | None) -> bytes | None:
    return None if output is None else output.encoded


def _array_of(tensor: pb.Tensor) -> NDArray[Any]:
    little = np.frombuffer(tensor.data, np.dtype(tensor.dtype).newbyteorder("<"))
    return little.reshape(tuple(tensor.shape)).astype(tensor.dtype)  # a copy, which the caller may change
