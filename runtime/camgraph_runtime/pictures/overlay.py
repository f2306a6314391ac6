"""Heatmaps as pictures: in colours, in grey, and over the photo."""

from __future__ import annotations

import numpy as np

from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_core.names import unknown_name
from camgraph_core.style import OPACITIES
from camgraph_core.tiles import TiledMap, tiles
from camgraph_core.types import ByteArray
from camgraph_runtime.pictures.blend import blend, paint, veil
from camgraph_runtime.pictures.colormaps import colours_of

_NOT_TO_DRAW = "A heatmap to draw is an array [H, W] of values in 0..1; raw maps have to be scaled first."


def colorize(heatmap: TiledMap, colormap: str = "jet") -> ByteArray:
    """Heatmap [H, W] in 0..1 as colours, uint8 [H, W, 3], RGB.

    Values are truncated to 256 steps; NaN counts as 0.

    Raises:
        UsageError: There is no such colour map.
        InvalidInputError: The heatmap has not two axes, or values outside 0..1 (a raw map, for example).

    """
    colours, levels = colours_of(colormap), _levels(heatmap)
    picture = np.empty((*levels.shape, 3), np.uint8)
    for tile in tiles(*levels.shape):
        picture[tile] = paint(levels[tile], colours)
    return picture


def overlay(
    photo: ByteArray,
    heatmap: TiledMap,
    *,
    colormap: str = "jet",
    image_weight: float = 0.5,
    opacity: str = "even",
) -> ByteArray:
    """The heatmap's colours mixed into the photo.

    With the opacity "even" the result is that of ``show_cam_on_image`` of grad-cam 1.5.7, bit for bit. The mix is
    divided by its largest value, so that brightness is rescaled per image. Besides photo, heatmap and
    result it takes one byte per pixel.

    Args:
        photo: uint8 [H, W, 3], RGB.
        heatmap: float32 [H, W] in 0..1; an array, or a `LaidMap`, which is laid a tile at a time.
        colormap: One of `camgraph_core.style.COLORMAPS`.
        image_weight: Weight of the photo against the colours, 0..1.
        opacity: "even", or "heat", which leaves the photo as it is where the map is cold; see `blend.veil`.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        UsageError: There is no such colour map or opacity, or the weight is out of range.
        InvalidInputError: Photo and heatmap do not fit each other, or the heatmap has values outside 0..1.

    """
    if not 0 <= image_weight <= 1:
        raise UsageError(f"The image weight is {image_weight}; it must lie in 0..1.")
    if photo.shape != (*heatmap.shape, 3) or photo.dtype != np.uint8:
        raise InvalidInputError(
            f"The photo is {photo.dtype} {list(photo.shape)}, "
            f"but the heatmap {list(heatmap.shape)} wants uint8 {[*heatmap.shape, 3]}."
        )
    if opacity not in OPACITIES:
        raise unknown_name("opacity", opacity, OPACITIES)
    draw = veil if opacity == "heat" else blend
    return draw(photo, _levels(heatmap), colours_of(colormap), image_weight)


def _levels(heatmap: TiledMap) -> ByteArray:
    """A heatmap's values as steps of 0..255, uint8 [H, W], truncated; NaN counts as 0."""
    levels = np.empty(heatmap.shape, np.uint8)
    if levels.ndim != 2:
        raise InvalidInputError(_NOT_TO_DRAW)
    for tile in tiles(*levels.shape):
        values = np.asarray(heatmap[tile], np.float32)
        smallest = values.min()
        if np.isnan(smallest):
            values = np.where(np.isnan(values), np.float32(0), values)
            smallest = values.min()
        if smallest < 0 or values.max() > 1:
            raise InvalidInputError(_NOT_TO_DRAW)
        levels[tile] = np.float32(255) * values
    return levels


def heatmap_to_gray(heatmap: TiledMap) -> ByteArray:
    """Heatmap [H, W] in 0..1 as 8-bit grey, uint8 [H, W], rounded; NaN counts as 0."""
    grey = np.empty(heatmap.shape, np.uint8)
    for tile in tiles(*grey.shape):
        grey[tile] = np.rint(np.clip(np.nan_to_num(heatmap[tile], nan=0.0), 0, 1) * 255)
    return grey
