"""A request and `camgraph.v1.ExplainRequest`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.errors import UsageError
from camgraph_core.request import DEFAULT_PROFILE, Addressed, Request
from camgraph_core.style import Style
from camgraph_core.windows import Window
from camgraph_wire.arrays import array_from, tensor_message
from camgraph_wire.enums import COLORMAPS, OPACITIES, OUTPUTS, PROFILES
from camgraph_wire.targets import target_from, target_message

_STYLE, _REQUEST = Style(), Request()


def request_message(addressed: Addressed) -> pb.ExplainRequest:
    """The message of a request.

    Raises:
        UsageError: A name is not known, or a number does not fit the protocol.
        InvalidInputError: An array does not travel.

    """
    request = addressed.request
    try:
        return pb.ExplainRequest(
            model_name=addressed.model,
            model_version=addressed.version,
            image=_image_message(addressed.image, request) if addressed.image is not None else None,
            tensor=tensor_message(addressed.tensor) if addressed.tensor is not None else None,
            frames=_frames_message(addressed.frames, request) if addressed.frames is not None else None,
            targets=map(target_message, request.targets),
            top_k=request.top_k,
            method=request.method,
            layers=request.layers,
            profile=PROFILES.value(request.profile),
            outputs=map(OUTPUTS.value, request.outputs),
            overlay=_style_message(request.style),
            num_predictions=request.num_predictions,
            request_id=request.request_id,
            max_side=request.style.max_side,
            score_threshold=request.score_threshold,
            iou_threshold=request.iou_threshold,
            bank=request.bank,
        )
    except (ValueError, TypeError) as error:  # protobuf's own, for numbers and texts that a field does not take
        raise UsageError(f"The request cannot be sent: {error}") from error


def request_from(message: pb.ExplainRequest) -> Addressed:
    """The request of a message.

    Raises:
        TargetError: A target contradicts itself.
        UsageError: A number is out of its range.
        InvalidInputError: A value is not known, or an array cannot be used.

    """
    given = message.WhichOneof("input")
    request = Request(
        targets=[target_from(target) for target in message.targets],
        top_k=message.top_k,
        method=message.method or None,
        layers=message.layers,
        profile=PROFILES.name(message.profile, DEFAULT_PROFILE),
        num_predictions=_given(message, "num_predictions", _REQUEST.num_predictions),
        score_threshold=_given(message, "score_threshold", _REQUEST.score_threshold),
        iou_threshold=_given(message, "iou_threshold", _REQUEST.iou_threshold),
        outputs=[OUTPUTS.name(kind, "heatmap") for kind in message.outputs],
        style=_style_from(message),
        window=_window_from(message.frames if given == "frames" else message.image),
        frame=message.image.frame if message.image.HasField("frame") else None,
        nodata=message.image.nodata if message.image.HasField("nodata") else None,
        scaled_decoding=message.image.scaled_decoding,
        bank=message.bank,
        request_id=message.request_id,
    )
    return Addressed(
        request=request,
        image=message.image.data if given == "image" else None,
        tensor=array_from(message.tensor) if given == "tensor" else None,
        frames=tuple(message.frames.files) if given == "frames" else None,
        model=message.model_name,
        version=message.model_version,
    )


def _image_message(data: bytes, request: Request) -> pb.EncodedImage:
    return pb.EncodedImage(
        data=data,
        window=_window_message(request),
        scaled_decoding=request.scaled_decoding,
        nodata=request.nodata,
        frame=request.frame,
    )


def _frames_message(frames: Sequence[bytes], request: Request) -> pb.EncodedFrames:
    return pb.EncodedFrames(files=frames, window=_window_message(request))


def _window_message(request: Request) -> pb.Window | None:
    return None if request.window is None else pb.Window(low=request.window[0], high=request.window[1])


def _window_from(message: pb.EncodedImage | pb.EncodedFrames) -> Window | None:
    return (message.window.low, message.window.high) if message.HasField("window") else None


def _style_message(style: Style) -> pb.OverlayOptions:
    return pb.OverlayOptions(
        colormap=COLORMAPS.value(style.colormap),
        image_weight=style.image_weight,
        jpeg_quality=style.jpeg_quality,
        png_level=style.png_level,
        hot_from=style.hot_from,
        opacity=OPACITIES.value(style.opacity),
        display_bands=style.display_bands,
        stretch=None if style.stretch is None else pb.Stretch(low=style.stretch[0], high=style.stretch[1]),
    )


def _style_from(message: pb.ExplainRequest) -> Style:
    overlay = message.overlay
    return Style(
        colormap=COLORMAPS.name(overlay.colormap, _STYLE.colormap),
        image_weight=_given(overlay, "image_weight", _STYLE.image_weight),
        jpeg_quality=overlay.jpeg_quality or _STYLE.jpeg_quality,
        png_level=_given(overlay, "png_level", _STYLE.png_level),
        max_side=_given(message, "max_side", _STYLE.max_side),
        hot_from=overlay.hot_from or _STYLE.hot_from,
        opacity=OPACITIES.name(overlay.opacity, _STYLE.opacity),
        display_bands=overlay.display_bands,
        stretch=(overlay.stretch.low, overlay.stretch.high) if overlay.HasField("stretch") else None,
    )


def _given(message: pb.ExplainRequest | pb.OverlayOptions, field: str, default: Any) -> Any:
    """The value of an optional field, or the default where it is not set."""
    return getattr(message, field) if message.HasField(field) else default
