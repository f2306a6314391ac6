"""Outlines of boxes on a picture: white between two dark lines, so that they show on every photo."""

from __future__ import annotations

import numpy as np

from camgraph_core.rectangle import Rectangle
from camgraph_core.types import ByteArray

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
    line = max(1, round(max(picture.shape[:2]) / _PIXELS_PER_LINE))
    dark = max(1, line // 2)
    _draw(picture, box, line + 2 * dark, _INK)
    _draw(picture, box, line, _PAPER)
    return picture


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
