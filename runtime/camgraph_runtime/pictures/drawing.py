"""The pictures of a result, one explanation after the other, at the size that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from camgraph_core.explanation import Explanation
from camgraph_core.frame import fitted
from camgraph_core.result import Result
from camgraph_core.types import ByteArray
from camgraph_runtime.pictures.overlay import overlay
from camgraph_runtime.pictures.shrink import shrunk, shrunk_mask


@dataclass(frozen=True, eq=False)
class Drawn:
    """The pictures of one explanation, all of one size.

    Attributes:
        explanation: What they show.
        overlay: uint8 [H, W, 3], RGB.
        guided: Guided Grad-CAM, uint8 [H, W, 3], RGB; None with other methods.
        mask: The target's mask, uint8 [H, W]; None without one.

    """

    explanation: Explanation
    overlay: ByteArray
    guided: ByteArray | None
    mask: ByteArray | None


def draw(
    result: Result, *, colormap: str = "jet", image_weight: float = 0.5, max_side: int | None = None
) -> Iterator[Drawn]:
    """Draws one explanation when it is asked for, so that only one need be kept at a time.

    Args:
        result: A result with a photo, made with a profile in the photo's frame.
        colormap: Colour map of overlays.
        image_weight: Weight of the photo in the overlays, 0..1.
        max_side: Longest side of the pictures, in pixels. The photo is shrunk first, and nothing larger is computed;
            None keeps the photo's size.

    Raises:
        ValueError: The result has no photo.
        UsageError: The colour map, the weight or the side cannot be used.
        InvalidInputError: The maps are not in 0..1 in the photo's frame.

    """
    if result.photo is None:
        raise ValueError("An overlay needs the photo; a result from a tensor has none.")
    height, width = result.photo.shape[:2]
    size = fitted((height, width), max_side)
    photo = shrunk(result.photo, size)
    for explanation in result.explanations:
        mask = explanation.mask
        yield Drawn(
            explanation,
            overlay(photo, explanation.tiled_heatmap(size), colormap=colormap, image_weight=image_weight),
            explanation.draw_guided(size),
            None if mask is None else shrunk_mask(mask, size),
        )
