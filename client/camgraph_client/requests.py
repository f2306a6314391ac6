"""From Python values to request messages."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.errors import InvalidInputError
from camgraph_core.request import Request, Style
from camgraph_core.target import Target
from camgraph_wire.requests import Addressed, request_message

ImageSource = bytes | str | Path | NDArray[Any]


class ExplainOptions(TypedDict, total=False):
    """What may be said about an explanation; everything has a default."""

    tensor: NDArray[Any]
    """A ready input tensor [1, ...], instead of an image."""
    window: tuple[float, float]
    """The values of the image that become black and white, where it is not of 8 bits; by default its whole range."""
    model: str
    """Model name; may be left out if the server has exactly one."""
    version: str
    """Model version; the newest by default."""
    targets: Sequence[Target]
    """What to explain, one explanation each; an embedding model needs at least one."""
    top_k: int
    """Also explains the k best classes, after `targets`; with neither, the best class is explained."""
    method: str
    """Name of the method, such as "grad-cam"; the manifest's default by default."""
    layers: Sequence[str]
    """Target layers, which are fused; the manifest's first by default."""
    profile: str
    """"pytorch-grad-cam" or "raw"."""
    outputs: Sequence[str]
    """What to return for each target, such as "overlay-jpeg"; "heatmap" by default."""
    colormap: str
    """Colour map of overlays."""
    image_weight: float
    """Weight of the photo against the colours in overlays, 0..1."""
    jpeg_quality: int
    """Quality of JPEG overlays, 1..100."""
    png_level: int | None
    """Effort of the compression of PNGs, 0..9."""
    max_side: int | None
    """Longest side in pixels of pictures and of the heatmap."""
    num_predictions: int
    """Number of best classes to list."""
    request_id: str
    """Comes back in the result, and stands in the server's log."""


def explain_request(image: ImageSource | None, options: ExplainOptions) -> pb.ExplainRequest:
    """The message of a request.

    Raises:
        InvalidInputError: neither or both of image and tensor, or an image that cannot be read.
        UsageError: a name that does not exist.
    """
    given: dict[str, Any] = {**options}
    tensor, model, version = given.pop("tensor", None), given.pop("model", ""), given.pop("version", "")
    if (image is None) == (tensor is None):
        raise InvalidInputError("Give either an image or a tensor to explain.")
    style = Style(**{name: given.pop(name) for name in _STYLE if name in given})
    data = _encoded(image) if image is not None else None
    addressed = Addressed(
        request=Request(style=style, **given), image=data, tensor=tensor, model=model, version=version
    )
    return request_message(addressed)


_STYLE = ("colormap", "image_weight", "jpeg_quality", "png_level", "max_side")


def _encoded(image: ImageSource) -> bytes:
    if isinstance(image, bytes):
        return image
    if isinstance(image, np.ndarray):
        return _encoded_pixels(image)
    try:
        return Path(image).read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{image} cannot be read: {error.strerror}.") from error


def _encoded_pixels(pixels: NDArray[Any]) -> bytes:
    if pixels.dtype == np.uint8 and (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        from camgraph_runtime.pictures.overlay import encode_png  # noqa: PLC0415 - OpenCV, only where pixels are sent

        return encode_png(pixels)
    buffer = io.BytesIO()
    np.save(buffer, pixels, allow_pickle=False)
    return buffer.getvalue()
