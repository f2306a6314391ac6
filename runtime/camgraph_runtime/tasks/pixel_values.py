"""What a segmentation model's own output says of each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.types import AnyArray, FloatArray
from camgraph_runtime.tasks.head_scores import log_odds, shown_probabilities, shows_scores, sigmoid, softmax


@dataclass(frozen=True, eq=False)
class PixelValues:
    """Of all classes and pixels of one image.

    Attributes:
        winner: The class that wins each pixel, int64 [h, w]; of equal ones the lower index, as in ONNX's ArgMax.
        scores: y before softmax or sigmoid, float32 [C, h, w]; None where the output hides it.
        probabilities: float32 [C, h, w]; None where the output is a map of winners.

    """

    winner: NDArray[np.int64]
    scores: FloatArray | None
    probabilities: FloatArray | None


def read_pixels(output: AnyArray, manifest: pb.Manifest, size: tuple[int, int]) -> PixelValues | None:
    """Winners, scores and probabilities from one image's output of a segmentation model.

    The output may have its classes first or last, or be a map of class indices; None if it is neither.
    """
    head = manifest.head
    if output.dtype.kind in "iu" and output.squeeze().shape == size:
        return PixelValues(output.reshape(size).astype(np.int64), None, None)
    last = manifest.input.layout == pb.LAYOUT_NHWC
    values = channels_first(output, (head.num_classes, *size), channels_last=last)
    if values is None and head.single_logit:
        values = channels_first(output, (1, *size), channels_last=last)
    if values is None:
        return None
    if shows_scores(head):
        return _from_scores(values, head)
    probabilities = shown_probabilities(values, head)
    scores = log_odds(probabilities) if head.kind == pb.HEAD_KIND_SIGMOID else None
    if len(values) == 1:
        probabilities = np.concatenate([1 - probabilities, probabilities])
        scores = None if scores is None else np.concatenate([-scores, scores])
    return PixelValues(probabilities.argmax(axis=0), scores, probabilities)


def channels_first(output: AnyArray, shape: tuple[int, ...], *, channels_last: bool) -> FloatArray | None:
    """The output as float32 [C, h, w]. Where both orders fit, the input's decides."""
    if output.dtype.kind != "f" or output.size != np.prod(shape):
        return None
    first, last = shape, (*shape[1:], shape[0])
    fits = [order for order in (first, last) if _without_ones(order) == _without_ones(output.shape)]
    if not fits:
        return None
    if fits[-1] == last and (channels_last or len(fits) == 1):
        output = np.moveaxis(output.reshape(last), 2, 0)
    return output.reshape(shape).astype(np.float32)


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(length for length in shape if length > 1)


def _from_scores(values: FloatArray, head: pb.Head) -> PixelValues:
    scores = np.concatenate([-values, values]) if head.single_logit else values
    if head.single_logit or head.kind == pb.HEAD_KIND_SIGMOID:
        return PixelValues(scores.argmax(axis=0), scores, sigmoid(scores))
    return PixelValues(scores.argmax(axis=0), scores, softmax(scores, axis=0))
