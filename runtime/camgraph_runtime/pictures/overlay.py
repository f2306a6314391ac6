"""Heatmaps as pictures: colour maps, overlays, and their encoding."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_core.names import unknown_name
from camgraph_core.tiles import TiledMap, tiles
from camgraph_core.types import ByteArray
from camgraph_runtime.pictures.blend import blend, paint

COLORMAPS = {
    "jet": cv2.COLORMAP_JET,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "turbo": cv2.COLORMAP_TURBO,
    "inferno": cv2.COLORMAP_INFERNO,
}

_NOT_TO_DRAW = "A heatmap to draw is an array [H, W] of values in 0..1; raw maps have to be scaled first."


def colorize(heatmap: TiledMap, colormap: str = "jet") -> ByteArray:
    """Heatmap [H, W] in 0..1 as colours, uint8 [H, W, 3], RGB.

    Values are truncated to 256 steps; NaN counts as 0.

    Raises:
        UsageError: There is no such colour map.
        InvalidInputError: The heatmap has not two axes, or values outside 0..1 (a raw map, for example).

    """
    colours, levels = _colours(colormap), _levels(heatmap)
    picture = np.empty((*levels.shape, 3), np.uint8)
    for tile in tiles(*levels.shape):
        picture[tile] = paint(levels[tile], colours)
    return picture


def overlay(photo: ByteArray, heatmap: TiledMap, *, colormap: str = "jet", image_weight: float = 0.5) -> ByteArray:
    """The heatmap's colours mixed into the photo.

    The result is that of ``show_cam_on_image`` of grad-cam 1.5.7, bit for bit. The mix is
    divided by its largest value, so that brightness is rescaled per image. Besides photo, heatmap and
    result it takes one byte per pixel.

    Args:
        photo: uint8 [H, W, 3], RGB.
        heatmap: float32 [H, W] in 0..1; an array, or a `LaidMap`, which is laid a tile at a time.
        colormap: One of `COLORMAPS`.
        image_weight: Weight of the photo against the colours, 0..1.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        UsageError: There is no such colour map, or the weight is out of range.
        InvalidInputError: Photo and heatmap do not fit each other, or the heatmap has values outside 0..1.

    """
    if not 0 <= image_weight <= 1:
        raise UsageError(f"The image weight is {image_weight}; it must lie in 0..1.")
    if photo.shape != (*heatmap.shape, 3) or photo.dtype != np.uint8:
        raise InvalidInputError(
            f"The photo is {photo.dtype} {list(photo.shape)}, "
            f"but the heatmap {list(heatmap.shape)} wants uint8 {[*heatmap.shape, 3]}."
        )
    colours = _colours(colormap)
    return blend(photo, _levels(heatmap), colours, image_weight)


def check_colormap(name: str) -> None:
    """Checks that there is such a colour map.

    Raises:
        UsageError: There is none.

    """
    if name not in COLORMAPS:
        raise unknown_name("colour map", name, COLORMAPS)


@cache
def _colours(colormap: str) -> ByteArray:
    """The 256 colours of a map, uint8 [256, 3], RGB."""
    check_colormap(colormap)
    steps = np.arange(256, dtype=np.uint8)[:, None]
    return np.ascontiguousarray(cv2.applyColorMap(steps, COLORMAPS[colormap])[:, 0, ::-1])


def _levels(heatmap: TiledMap) -> ByteArray:
    """A heatmap's values as steps of 0..255, uint8 [H, W], truncated; NaN counts as 0."""
    levels = np.empty(heatmap.shape, np.uint8)
    if levels.ndim != 2:
        raise InvalidInputError(_NOT_TO_DRAW)
    for tile in tiles(*levels.shape):
        values = np.asarray(heatmap[tile], np.float32)
        if np.isnan(values.min()):
            values = np.where(np.isnan(values), np.float32(0), values)
        if values.min() < 0 or values.max() > 1:
            raise InvalidInputError(_NOT_TO_DRAW)
        levels[tile] = np.float32(255) * values
    return levels


def encode_png(picture: ByteArray, level: int | None = None) -> bytes:
    """PNG of a picture, uint8 [H, W, 3] (RGB) or [H, W] (grey).

    Args:
        picture: The pixels, which every level keeps.
        level: Effort of the compression, 0 (none) to 9 (smallest); None leaves it to OpenCV, which is fast.

    """
    return _encode(".png", picture, [] if level is None else [cv2.IMWRITE_PNG_COMPRESSION, level])


def encode_jpeg(picture: ByteArray, quality: int = 90) -> bytes:
    """JPEG of a picture, uint8 [H, W, 3] (RGB) or [H, W] (grey), with a quality of 1 to 100.

    Raises:
        UsageError: The quality is out of range.

    """
    if not 1 <= quality <= 100:
        raise UsageError(f"The JPEG quality is {quality}; it must lie in 1..100.")
    return _encode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])


def heatmap_to_gray(heatmap: TiledMap) -> ByteArray:
    """Heatmap [H, W] in 0..1 as 8-bit grey, uint8 [H, W], rounded; NaN counts as 0."""
    grey = np.empty(heatmap.shape, np.uint8)
    for tile in tiles(*grey.shape):
        grey[tile] = np.rint(np.clip(np.nan_to_num(heatmap[tile], nan=0.0), 0, 1) * 255)
    return grey


def _encode(suffix: str, picture: ByteArray, options: list[int]) -> bytes:
    pixels = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    ok, data = cv2.imencode(suffix, pixels, options)
    if not ok:
        raise InvalidInputError(f"A picture of {list(picture.shape)} cannot be written as {suffix[1:]}.")
    return data.tobytes()
