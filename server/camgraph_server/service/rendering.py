"""The outputs of one explanation, as a request asked for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.errors import InvalidInputError
from camgraph_core.request import Style
from camgraph_runtime import Explanation
from camgraph_runtime.maps.cam import Method
from camgraph_runtime.pictures.overlay import encode_jpeg, encode_png, heatmap_to_gray, overlay
from camgraph_wire.arrays import tensor_message
from camgraph_wire.enums import OUTPUTS
from camgraph_wire.requests import Addressed


@dataclass(frozen=True)
class _Source:
    explanation: Explanation
    photo: NDArray[np.uint8] | None
    style: Style

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


def asked_kinds(addressed: Addressed) -> list[pb.OutputKind]:
    """The asked outputs; a heatmap if none is named.

    Raises:
        InvalidInputError: one that this request cannot give.
    """
    kinds = [OUTPUTS.value(name) for name in addressed.request.outputs] or [pb.OUTPUT_KIND_HEATMAP]
    if addressed.image is None and not _NEEDS_PHOTO.isdisjoint(kinds):
        raise InvalidInputError("An overlay needs a photo, but a tensor was sent; ask for the heatmap.")
    if addressed.request.profile == "raw" and not _NEEDS_UNIT_RANGE.isdisjoint(kinds):
        raise InvalidInputError("The profile raw gives signed values, no picture; ask for the raw map.")
    return kinds


def check_method(kinds: Sequence[pb.OutputKind], method: Method) -> None:
    """Checks that a method gives the asked outputs.

    Raises:
        InvalidInputError: it does not.
    """
    if not method.needs_image_gradient and not _NEEDS_GUIDED.isdisjoint(kinds):
        raise InvalidInputError(
            f"The method {method.name} has no guided map; ask for guided-grad-cam, or leave that output out."
        )


def render(
    explanation: Explanation,
    kinds: Sequence[pb.OutputKind],
    photo: NDArray[np.uint8] | None,
    style: Style,
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
