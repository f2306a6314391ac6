"""The outputs of one explanation, as a request asked for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.errors import InvalidInputError
from camgraph_runtime import Explanation
from camgraph_runtime.maps.cam import Method
from camgraph_runtime.pictures.overlay import encode_jpeg, encode_png, heatmap_to_gray, overlay
from camgraph_server.transport.messages import COLORMAPS, PROFILES, lookup, tensor_message

_DEFAULT_JPEG_QUALITY = 90
_DEFAULT_IMAGE_WEIGHT = 0.5


@dataclass(frozen=True)
class OverlayStyle:
    """How overlays are drawn."""

    colormap: str
    image_weight: float
    jpeg_quality: int

    @classmethod
    def of(cls, options: pb.OverlayOptions) -> OverlayStyle:
        """The style of a request's options.

        Raises:
            InvalidInputError: an option is out of range.
        """
        weight = options.image_weight if options.HasField("image_weight") else _DEFAULT_IMAGE_WEIGHT
        if not 0 <= weight <= 1:
            raise InvalidInputError(f"overlay.image_weight must lie in 0..1, not {weight}.")
        quality = options.jpeg_quality or _DEFAULT_JPEG_QUALITY
        if quality > 100:
            raise InvalidInputError(f"overlay.jpeg_quality must lie in 1..100, not {quality}.")
        return cls(lookup(COLORMAPS, options.colormap, "overlay.colormap"), weight, quality)


@dataclass(frozen=True)
class _Source:
    explanation: Explanation
    photo: NDArray[np.uint8] | None
    style: OverlayStyle

    def overlay(self) -> NDArray[np.uint8]:
        if self.photo is None:
            raise InvalidInputError("An overlay needs a photo, but a tensor was sent; ask for the heatmap.")
        return overlay(
            self.photo,
            self.explanation.tiled_heatmap(),
            colormap=self.style.colormap,
            image_weight=self.style.image_weight,
        )

    def guided(self) -> NDArray[np.float32]:
        guided = self.explanation.guided
        assert guided is not None, "checked by check_method"
        return guided

    def guided_picture(self) -> NDArray[np.uint8]:
        picture = self.explanation.draw_guided()
        assert picture is not None, "checked by check_method"
        return picture


Value = NDArray[Any] | bytes
Renderer = Callable[[_Source], Value]

_FUSED: dict[pb.OutputKind, Renderer] = {
    pb.OUTPUT_KIND_HEATMAP: lambda source: source.explanation.heatmap,
    pb.OUTPUT_KIND_HEATMAP_PNG: lambda source: encode_png(heatmap_to_gray(source.explanation.tiled_heatmap())),
    pb.OUTPUT_KIND_OVERLAY_PNG: lambda source: encode_png(source.overlay()),
    pb.OUTPUT_KIND_OVERLAY_JPEG: lambda source: encode_jpeg(source.overlay(), quality=source.style.jpeg_quality),
    pb.OUTPUT_KIND_INPUT_HEATMAP: lambda source: source.explanation.input_heatmap,
    pb.OUTPUT_KIND_GUIDED: _Source.guided,
    pb.OUTPUT_KIND_GUIDED_PNG: lambda source: encode_png(source.guided_picture()),
}
_OF_LAYER: dict[pb.OutputKind, Callable[[Explanation], Sequence[NDArray[np.float32]]]] = {
    pb.OUTPUT_KIND_RAW_MAP: lambda explanation: explanation.raw_maps,
    pb.OUTPUT_KIND_WEIGHTS: lambda explanation: explanation.weights,
    pb.OUTPUT_KIND_ACTIVATIONS: lambda explanation: explanation.activations,
}
_NEEDS_UNIT_RANGE = frozenset({pb.OUTPUT_KIND_HEATMAP_PNG, pb.OUTPUT_KIND_OVERLAY_PNG, pb.OUTPUT_KIND_OVERLAY_JPEG})
_NEEDS_PHOTO = frozenset({pb.OUTPUT_KIND_OVERLAY_PNG, pb.OUTPUT_KIND_OVERLAY_JPEG})
_NEEDS_GUIDED = frozenset({pb.OUTPUT_KIND_GUIDED, pb.OUTPUT_KIND_GUIDED_PNG})


def asked_kinds(request: pb.ExplainRequest) -> list[pb.OutputKind]:
    """The asked outputs; a heatmap if none is named.

    Raises:
        InvalidInputError: an unknown kind, or one that this request cannot give.
    """
    kinds = [kind or pb.OUTPUT_KIND_HEATMAP for kind in request.outputs] or [pb.OUTPUT_KIND_HEATMAP]
    for kind in kinds:
        if kind not in _FUSED and kind not in _OF_LAYER:
            raise InvalidInputError(f"The field outputs has the value {kind}, which this server does not know.")
        if kind in _NEEDS_PHOTO and request.WhichOneof("input") == "tensor":
            raise InvalidInputError("An overlay needs a photo, but a tensor was sent; ask for the heatmap.")
        if kind in _NEEDS_UNIT_RANGE and lookup(PROFILES, request.profile, "profile") == "raw":
            raise InvalidInputError("The profile raw gives signed values, no picture; ask for the raw map.")
    return kinds


def check_method(kinds: Sequence[pb.OutputKind], method: Method) -> None:
    """Checks that a method gives the asked outputs.

    Raises:
        InvalidInputError: it does not.
    """
    if not method.needs_image_gradient and not _NEEDS_GUIDED.isdisjoint(kinds):
        raise InvalidInputError(
            f"The method {method.name} has no guided map; ask for METHOD_GUIDED_GRAD_CAM, or leave that output out."
        )


def render(
    explanation: Explanation,
    kinds: Sequence[pb.OutputKind],
    photo: NDArray[np.uint8] | None,
    style: OverlayStyle,
) -> Iterator[pb.Output]:
    """The outputs of an explanation in the order of `kinds`; those of a layer come once for each layer."""
    source = _Source(explanation, photo, style)
    for kind in kinds:
        if kind in _FUSED:
            yield _message(kind, _FUSED[kind](source))
        else:
            for layer, value in zip(explanation.layers, _OF_LAYER[kind](explanation), strict=True):
                yield _message(kind, value, layer)


def _message(kind: pb.OutputKind, value: Value, layer: str = "") -> pb.Output:
    if isinstance(value, bytes):
        return pb.Output(kind=kind, encoded=value, layer=layer)
    return pb.Output(kind=kind, tensor=tensor_message(value), layer=layer)
