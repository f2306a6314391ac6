"""From the picture that the network sees to its input tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidGraphError, InvalidInputError
from camgraph_core.types import AnyArray
from camgraph_runtime.preprocess.layout import channel_count, frame_axis, rank_of

_RGB_CHANNELS = 3
_MOST_STEPS = 16
_WORDS = {3: "three", 4: "four", 5: "five"}
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def to_tensor(pixels: AnyArray, spec: pb.InputSpec) -> AnyArray:
    """Input tensor [1, ...] of a picture [H, W, C]: (pixel / divisor - mean) / std per channel.

    The quotient by the divisor is float32, mean and std are float64, and the result is rounded once to the
    element type of ``spec``; channel order and layout are those of ``spec`` too.

    Args:
        pixels: uint8 or float32; of colour orders C is 1 or 3, RGB.
        spec: The input.

    """
    channels = _channels(pixels, spec.channel_order)
    values = _values_of_bytes(channels, spec) if channels.dtype == np.uint8 else normalised(channels, spec)
    if spec.layout == pb.LAYOUT_NCHW:
        values = values.transpose(2, 0, 1)
    elif spec.layout == pb.LAYOUT_NHW:
        values = values[:, :, 0]
    return np.ascontiguousarray(values[None])


def one_image(tensor: object, layout: pb.Layout) -> AnyArray:
    """The tensor of one image or clip, [1, ...], that a caller has made ready.

    Raises:
        InvalidInputError: It is not an array of one of them with the axes of the layout.

    """
    axes = rank_of(layout)
    if isinstance(tensor, np.ndarray) and tensor.ndim == axes and tensor.shape[0] == 1:
        return tensor
    shape = list(tensor.shape) if isinstance(tensor, np.ndarray) else type(tensor).__name__
    subject = "image" if frame_axis(layout) is None else "clip"
    raise InvalidInputError(
        f"An input tensor is an array of one {subject} with {_WORDS[axes]} axes, [1, ...], but this is {shape}."
    )


def check_spec(spec: pb.InputSpec) -> None:
    """Checks that the numbers of an input spec can be used.

    Raises:
        InvalidGraphError: The divisor or a standard deviation is not positive, a number is not finite, a channel count
            does not fit, or there are more steps than a photo can need.

    """
    channels = channel_count(spec)
    if not all(0 < value < math.inf for value in (spec.divisor, *spec.std)):
        raise InvalidGraphError("The graph's manifest has an input divisor or std that is not positive. Export again.")
    if not all(map(math.isfinite, spec.mean)):
        raise InvalidGraphError("The graph's manifest has an input mean that is not a number. Export the model again.")
    if len(spec.steps) > _MOST_STEPS:
        raise InvalidGraphError(
            f"The graph's manifest takes a photo through {len(spec.steps)} steps of geometry; {_MOST_STEPS} are the "
            "limit. Export the model again."
        )
    for name, values in (("mean", spec.mean), ("std", spec.std), ("range", spec.value_low), ("names", spec.band_names)):
        if channels and len(values) not in (0, 1, channels):
            raise InvalidGraphError(
                f"The graph's manifest has {len(values)} values of input {name} for {channels} channels. "
                "Export the model again."
            )
    if len(spec.value_low) != len(spec.value_high) or not all(map(math.isfinite, (*spec.value_low, *spec.value_high))):
        raise InvalidGraphError("The graph's manifest has an input range that is not one of numbers. Export again.")
    try:
        np.dtype(spec.tensor.dtype)
    except TypeError as error:
        raise InvalidGraphError(
            f"The graph's input has the element type {spec.tensor.dtype!r}, which NumPy does not know."
        ) from error


def _channels(pixels: AnyArray, order: pb.ChannelOrder) -> AnyArray:
    if order == pb.CHANNEL_ORDER_STORED:
        return pixels
    if order == pb.CHANNEL_ORDER_GRAY:
        return _luma(pixels)
    colours = pixels if pixels.shape[2] == _RGB_CHANNELS else np.repeat(pixels, _RGB_CHANNELS, axis=2)
    return colours[:, :, ::-1] if order == pb.CHANNEL_ORDER_BGR else colours


def _values_of_bytes(channels: AnyArray, spec: pb.InputSpec) -> AnyArray:
    """The normalised values of bytes [H, W, C], each byte of a channel computed once."""
    height, width, count = channels.shape
    bytes_ = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None], (256, 1, count))
    table = normalised(bytes_, spec)
    if table.dtype == np.uint8 and np.array_equal(table, bytes_):
        return channels  # the graph takes pixels as they are
    values = np.empty((count, height, width), table.dtype)
    for channel in range(count):
        np.take(table[:, 0, channel], channels[:, :, channel], out=values[channel])
    return values.transpose(1, 2, 0)


def normalised(channels: AnyArray, spec: pb.InputSpec) -> AnyArray:
    """The values of pixels [..., C] that the network takes, of the element type of ``spec``."""
    scaled = channels.astype(np.float32) / np.float32(spec.divisor)
    values = (scaled - _per_channel(spec.mean, default=0.0)) / _per_channel(spec.std, default=1.0)
    dtype = np.dtype(spec.tensor.dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return values.astype(dtype, copy=False)


def _luma(pixels: AnyArray) -> AnyArray:
    """ITU-R 601 luma [H, W, 1]; of bytes rounded as Pillow does."""
    if pixels.shape[2] == 1:
        return pixels
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).convert("L"))[:, :, None]
    return (pixels @ _LUMA)[:, :, None]


def _per_channel(values: Sequence[float], *, default: float) -> NDArray[np.float64]:
    return np.array(values or [default], np.float64)
