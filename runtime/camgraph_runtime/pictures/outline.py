"""Outlines of boxes and regions on a picture: white between two dark lines, so that they show on every photo."""

from __future__ import annotations

import numpy as np

from camgraph_core.rectangle import Rectangle
from camgraph_core.tiles import TiledMap, tiles
from camgraph_core.types import AnyArray, ByteArray

_INK = (28, 32, 38)
_PAPER = (255, 255, 255)
_PIXELS_PER_LINE = 240  # of the picture's longer side, for each pixel that the white line is wide


def outlined(picture: ByteArray, box: Rectangle) -> ByteArray:
    """The picture with the outline of a box; lines lie around its edge, and are as wide as the picture's size asks.

    Args:
        picture: uint8 [H, W, 3], RGB; it is drawn on.
        box: In pixels of the picture.

    Returns:
        The same array.

    """
    line, both = _widths(picture)
    _draw(picture, box, both, _INK)
    _draw(picture, box, line, _PAPER)
    return picture


def traced(picture: ByteArray, region: TiledMap) -> ByteArray:
    """The picture with the outline of a region, as wide as `outlined` draws it.

    Where the region ends with the picture there is no line.

    Args:
        picture: uint8 [H, W, 3], RGB; it is drawn on.
        region: [H, W]; a pixel is inside from 0.5 on.

    Returns:
        The same array.

    """
    line, dark = ((width + 1) // 2 for width in _widths(picture))
    height, width = picture.shape[:2]
    for rows, columns in tiles(height, width):
        window = _grown(rows, dark, height), _grown(columns, dark, width)
        inside = region[window] >= np.float32(0.5)
        if inside.all() or not inside.any():
            continue
        tile = _within(rows, window[0]), _within(columns, window[1])
        part = picture[rows, columns]
        part[_edge(inside, dark)[tile]] = _INK
        part[_edge(inside, line)[tile]] = _PAPER
    return picture


def _widths(picture: ByteArray) -> tuple[int, int]:
    """Width in pixels of the white line, and with the dark ones on both sides."""
    line = max(1, round(max(picture.shape[:2]) / _PIXELS_PER_LINE))
    return line, line + 2 * max(1, line // 2)


def _grown(part: slice, by: int, length: int) -> slice:
    return slice(max(part.start - by, 0), min(part.stop + by, length))


def _within(part: slice, window: slice) -> slice:
    return slice(part.start - window.start, part.stop - window.start)


def _edge(inside: AnyArray, reach: int) -> AnyArray:
    """Where both an inner and an outer pixel are no more than ``reach`` rows and columns away, bool [h, w]."""
    edge: AnyArray = _near(inside, reach) & _near(~inside, reach)
    return edge


def _near(cells: AnyArray, reach: int) -> AnyArray:
    """Where a cell that is true is no more than ``reach`` rows and columns away, bool [h, w]."""
    near = np.pad(cells, reach)
    for _ in range(2):
        near, span = near.T, 1
        while span < 2 * reach + 1:  # each column says what is true in `span` columns from it on
            step = min(span, 2 * reach + 1 - span)
            near = near[:, :-step] | near[:, step:]
            span += step
    return near


def framed(picture: ByteArray, box: Rectangle) -> ByteArray:
    """As `outlined`, with the thinnest line: around what the network sees of a photo."""
    _draw(picture, box, 3, _INK)
    _draw(picture, box, 1, _PAPER)
    return picture


def _draw(picture: ByteArray, box: Rectangle, width: int, ink: tuple[int, int, int]) -> None:
    """Draw four bars whose middle is the box's edge; what lies beside the picture is moved onto it."""
    height, length = picture.shape[:2]
    left, right = (_start(position, width, length) for position in (box.left, box.right))
    top, bottom = (_start(position, width, height) for position in (box.top, box.bottom))
    for row in (top, bottom):
        picture[row : row + width, left : right + width] = ink
    for column in (left, right):
        picture[top : bottom + width, column : column + width] = ink


def _start(position: float, width: int, length: int) -> int:
    return int(np.clip(round(position - width / 2), 0, max(length - width, 0)))
