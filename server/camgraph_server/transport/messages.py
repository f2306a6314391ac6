"""Between the messages of `camgraph.v1` and the values of the runtime."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf.message import Message
from numpy.typing import NDArray

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.errors import InvalidInputError
from camgraph_core.place import Box, Direction, Mask, Place
from camgraph_core.target import Rank, Selector, Target
from camgraph_runtime import ClassScore, MapStatistics

PROFILES = {
    pb.PROFILE_UNSPECIFIED: "pytorch-grad-cam",
    pb.PROFILE_PYTORCH_GRAD_CAM: "pytorch-grad-cam",
    pb.PROFILE_RAW: "raw",
}
COLORMAPS = {
    pb.COLORMAP_UNSPECIFIED: "jet",
    pb.COLORMAP_JET: "jet",
    pb.COLORMAP_VIRIDIS: "viridis",
    pb.COLORMAP_TURBO: "turbo",
    pb.COLORMAP_INFERNO: "inferno",
}
METHODS = {
    pb.METHOD_UNSPECIFIED: None,
    pb.METHOD_GRAD_CAM: "grad-cam",
    pb.METHOD_GRAD_CAM_PLUS_PLUS: "grad-cam++",
    pb.METHOD_XGRAD_CAM: "xgrad-cam",
    pb.METHOD_LAYER_CAM: "layer-cam",
    pb.METHOD_HIRES_CAM: "hires-cam",
    pb.METHOD_GRAD_CAM_ELEMENTWISE: "grad-cam-elementwise",
    pb.METHOD_EIGEN_CAM: "eigen-cam",
    pb.METHOD_EIGEN_GRAD_CAM: "eigen-grad-cam",
    pb.METHOD_GUIDED_GRAD_CAM: "guided-grad-cam",
}
METHOD_OF_NAME = {name: method for method, name in METHODS.items() if name is not None}

_ELEMENT_TYPES = frozenset({"float16", "float32", "float64", "int8", "uint8", "int32", "int64"})
_MOST_AXES = 8


@dataclass(frozen=True)
class Encoded:
    """A response and its bytes: a large one is serialised only once, on a worker thread, to learn its size."""

    message: Message
    data: bytes


def lookup(table: dict[Any, Any], value: int, field: str) -> Any:
    """The entry of an enum value.

    Raises:
        InvalidInputError: the server does not know the value; a newer client may have sent it.
    """
    if value not in table:
        raise InvalidInputError(f"The field {field} has the value {value}, which this server does not know.")
    return table[value]


def targets_from(messages: Iterable[pb.Target]) -> list[Target]:
    """Targets of a request, in its order."""
    return [_target(message) for message in messages]


def _target(message: pb.Target) -> Target:
    contrast = message.contrast
    if contrast.HasField("contrast"):
        raise InvalidInputError("A contrast cannot have a contrast of its own; name a plain class there.")
    return Target(
        _selector(message),
        _place(message),
        contrast=_target(contrast) if message.HasField("contrast") else None,
        negative=message.negative,
    )


def _selector(message: pb.Target) -> Selector | None:
    match message.WhichOneof("selector"):
        case "class_index":
            return message.class_index
        case "label":
            return message.label
        case "rank":
            return Rank(message.rank)
    return None


def _place(message: pb.Target) -> Place | None:
    match message.WhichOneof("place"):
        case "mask" if message.mask.ByteSize():
            return Mask(array_from(message.mask))
        case "anchor_index":
            return Box(message.anchor_index)
        case "anchor_rank":
            return Box(rank=message.anchor_rank)
        case "cotangent" if message.cotangent.ByteSize():
            return Direction(array_from(message.cotangent))
    return None


def array_from(message: pb.Tensor) -> NDArray[Any]:
    """The array of a tensor message.

    Raises:
        InvalidInputError: unknown element type, an unusable shape, or data of another size than it says.
    """
    if message.dtype not in _ELEMENT_TYPES:
        raise InvalidInputError(
            f"The tensor has the dtype {message.dtype!r}; use one of {', '.join(sorted(_ELEMENT_TYPES))}."
        )
    dtype, shape = np.dtype(message.dtype).newbyteorder("<"), tuple(message.shape)
    if len(shape) > _MOST_AXES or any(length < 1 for length in shape):
        raise InvalidInputError(f"A tensor has at most {_MOST_AXES} axes, each at least 1 long.")
    expected = math.prod(shape) * dtype.itemsize
    if expected != len(message.data):
        raise InvalidInputError(
            f"A {message.dtype} tensor of shape {list(shape)} takes {expected} bytes, but {len(message.data)} came."
        )
    return np.frombuffer(message.data, dtype).reshape(shape).astype(message.dtype, copy=False)


def tensor_message(array: NDArray[Any]) -> pb.Tensor:
    """The message of an array, little-endian and row-major."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return pb.Tensor(dtype=array.dtype.name, shape=array.shape, data=little.tobytes())


def score_message(score: ClassScore) -> pb.ClassScore:
    """The message of a class with its score."""
    return pb.ClassScore(
        class_index=score.class_index,
        label=score.label,
        score=score.score,
        probability=score.probability if math.isfinite(score.probability) else None,
        anchor_index=score.anchor,
        area=score.area,
        value=score.value,
    )


def statistics_message(statistics: MapStatistics) -> pb.MapStatistics:
    """The message of a map's statistics."""
    return pb.MapStatistics(
        minimum=statistics.minimum,
        maximum=statistics.maximum,
        mean=statistics.mean,
        positive_share=statistics.positive_share,
        all_nonpositive=statistics.all_nonpositive,
        constant=statistics.constant,
        nonfinite=statistics.nonfinite,
    )
