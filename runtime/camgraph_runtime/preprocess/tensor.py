"""From the picture that the network sees to its input tensor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from camgraph.v1 import manifest_pb2 as pb
from camgraph_runtime.errors import InvalidGraphError
from camgraph_runtime.types import AnyArray

_CHANNELS = {pb.CHANNEL_ORDER_RGB: 3, pb.CHANNEL_ORDER_BGR: 3, pb.CHANNEL_ORDER_GRAY: 1}


def to_tensor(image: Image.Image, spec: pb.InputSpec) -> AnyArray:
    """Input tensor [1, ...] of an RGB picture: (pixel / divisor - mean) / std a channel.

    The quotient by the divisor is float32, mean and std are float64, and the result is rounded once to the
    element type of ``spec``; channel order and layout are those of ``spec`` too.
    """
    pixels = _channels(image, spec.channel_order).astype(np.float32)
    scaled = pixels / np.float32(spec.divisor)
    values = (scaled - _per_channel(spec.mean, default=0.0)) / _per_channel(spec.std, default=1.0)
    if spec.layout == pb.LAYOUT_NCHW:
        values = values.transpose(2, 0, 1)
    dtype = np.dtype(spec.tensor.dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return np.ascontiguousarray(values[None].astype(dtype, copy=False))


def check_spec(spec: pb.InputSpec) -> None:
    """Checks that the numbers of an input spec can be used.

    Raises:
        InvalidGraphError: The divisor or a standard deviation is not positive, or a channel count does not
            fit.

    """
    channels = _CHANNELS[spec.channel_order]
    if not spec.divisor > 0 or not all(value > 0 for value in spec.std):
        raise InvalidGraphError("The graph's manifest has an input divisor or std that is not positive. Export again.")
    for name, values in (("mean", spec.mean), ("std", spec.std)):
        if len(values) not in (0, 1, channels):
            raise InvalidGraphError(
                f"The graph's manifest has {len(values)} values of input {name} for {channels} channels. "
                "Export the model again."
            )
    try:
        np.dtype(spec.tensor.dtype)
    except TypeError as error:
        raise InvalidGraphError(
            f"The graph's input has the element type {spec.tensor.dtype!r}, which NumPy does not know."
        ) from error


def _channels(image: Image.Image, order: pb.ChannelOrder) -> AnyArray:
    if order == pb.CHANNEL_ORDER_GRAY:
        return np.asarray(image.convert("L"))[:, :, None]
    pixels = np.asarray(image)
    return pixels[:, :, ::-1] if order == pb.CHANNEL_ORDER_BGR else pixels


def _per_channel(values: Sequence[float], *, default: float) -> NDArray[np.float64]:
    return np.array(values or [default], np.float64)
