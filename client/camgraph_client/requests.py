"""From Python values to request messages."""

from __future__ import annotations

import difflib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_core.place import Box, Direction, Mask
from camgraph_core.target import Rank, Target

METHODS: Mapping[str, pb.Method] = {
    "grad-cam": pb.METHOD_GRAD_CAM,
    "grad-cam++": pb.METHOD_GRAD_CAM_PLUS_PLUS,
    "xgrad-cam": pb.METHOD_XGRAD_CAM,
    "layer-cam": pb.METHOD_LAYER_CAM,
    "hires-cam": pb.METHOD_HIRES_CAM,
    "grad-cam-elementwise": pb.METHOD_GRAD_CAM_ELEMENTWISE,
    "eigen-cam": pb.METHOD_EIGEN_CAM,
    "eigen-grad-cam": pb.METHOD_EIGEN_GRAD_CAM,
    "guided-grad-cam": pb.METHOD_GUIDED_GRAD_CAM,
}
PROFILES: Mapping[str, pb.Profile] = {
    "pytorch-grad-cam": pb.PROFILE_PYTORCH_GRAD_CAM,
    "raw": pb.PROFILE_RAW,
}
COLORMAPS: Mapping[str, pb.Colormap] = {
    "jet": pb.COLORMAP_JET,
    "viridis": pb.COLORMAP_VIRIDIS,
    "turbo": pb.COLORMAP_TURBO,
    "inferno": pb.COLORMAP_INFERNO,
}
OUTPUTS: Mapping[str, pb.OutputKind] = {
    "heatmap": pb.OUTPUT_KIND_HEATMAP,
    "heatmap-png": pb.OUTPUT_KIND_HEATMAP_PNG,
    "overlay-png": pb.OUTPUT_KIND_OVERLAY_PNG,
    "overlay-jpeg": pb.OUTPUT_KIND_OVERLAY_JPEG,
    "raw-map": pb.OUTPUT_KIND_RAW_MAP,
    "input-heatmap": pb.OUTPUT_KIND_INPUT_HEATMAP,
    "weights": pb.OUTPUT_KIND_WEIGHTS,
    "activations": pb.OUTPUT_KIND_ACTIVATIONS,
    "guided": pb.OUTPUT_KIND_GUIDED,
    "guided-png": pb.OUTPUT_KIND_GUIDED_PNG,
}

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
    """What to return for each target, names of `OUTPUTS`; "heatmap" by default."""
    colormap: str
    """Colours of overlays, a name of `COLORMAPS`."""
    image_weight: float
    """Weight of the photo against the colours in overlays, 0..1."""
    jpeg_quality: int
    """Quality of JPEG overlays, 1..100."""
    num_predictions: int
    """Number of best classes to list."""
    request_id: str
    """Comes back in the result, and stands in the server's log."""


def explain_request(image: ImageSource | None, options: ExplainOptions) -> pb.ExplainRequest:
    """The request message.

    Args:
        image: encoded bytes, the path of a file, or pixels [H, W] or [H, W, C] (RGB uint8 are sent as PNG, others as
            a NumPy file).
        options: the rest.

    Raises:
        InvalidInputError: not exactly one of image and tensor, or the image cannot be read.
        UsageError: an option names something that does not exist.
    """
    tensor = options.get("tensor")
    if (image is None) == (tensor is None):
        raise InvalidInputError("Give either an image or a tensor.")
    return pb.ExplainRequest(
        model_name=options.get("model", ""),
        model_version=options.get("version", ""),
        image=_image_message(image, options.get("window")) if image is not None else None,
        tensor=_tensor_message(tensor) if tensor is not None else None,
        targets=map(_target_message, options.get("targets", ())),
        top_k=options.get("top_k", 0),
        method=_value(METHODS, options.get("method"), "method"),
        layers=options.get("layers", ()),
        profile=_value(PROFILES, options.get("profile"), "profile"),
        outputs=[_value(OUTPUTS, name, "output") for name in options.get("outputs", ())],
        overlay=pb.OverlayOptions(
            colormap=_value(COLORMAPS, options.get("colormap"), "colour map"),
            image_weight=options.get("image_weight"),
            jpeg_quality=options.get("jpeg_quality", 0),
        ),
        num_predictions=options.get("num_predictions", 0),
        request_id=options.get("request_id", ""),
    )


def _image_message(image: ImageSource, window: tuple[float, float] | None) -> pb.EncodedImage:
    message = pb.EncodedImage(data=_encoded(image))
    if window is not None:
        message.window.low, message.window.high = window
    return message


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


def _tensor_message(array: NDArray[Any]) -> pb.Tensor:
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return pb.Tensor(dtype=array.dtype.name, shape=array.shape, data=little.tobytes())


def _target_message(target: Target) -> pb.Target:
    message = pb.Target(
        contrast=_target_message(target.contrast) if target.contrast is not None else None, negative=target.negative
    )
    match target.selector:
        case int(index):
            message.class_index = index
        case str(label):
            message.label = label
        case Rank(number):
            message.rank = number
    match target.place:
        case Mask(array):
            message.mask.CopyFrom(_tensor_message(array))
        case Box(index=int(index)):
            message.anchor_index = index
        case Box(rank=int(rank)):
            message.anchor_rank = rank
        case Direction(array):
            message.cotangent.CopyFrom(_tensor_message(array))
    return message


def _value(table: Mapping[str, Any], name: str | None, what: str) -> Any:
    """The enum value of a name; zero, which means the server's default, for None."""
    if name is None:
        return 0
    if name not in table:
        closest = difflib.get_close_matches(name, table, n=1)
        hint = f"did you mean {closest[0]!r}?" if closest else f"choose one of {', '.join(table)}."
        raise UsageError(f"There is no {what} {name!r}; {hint}")
    return table[name]
