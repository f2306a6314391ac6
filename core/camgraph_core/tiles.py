"""Pictures a tile at a time: what is computed on the way to a picture never covers all of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeAlias

from camgraph_core.types import FloatArray

Tile: TypeAlias = tuple[slice, slice]
"""Rows and columns of a picture."""

_PIXELS = 1 << 15  # a tile of three channels in float32 stays in the cache of one core


class TiledMap(Protocol):
    """A map [H, W] of which tiles can be taken: an array, or one that is computed where it is asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width."""

    def __getitem__(self, tile: Tile, /) -> FloatArray:
        """Some rows and columns, [h, w]."""


def tiles(height: int, width: int, parts: int = 1) -> Iterator[Tile]:
    """The tiles of a picture, row by row; of whole rows, unless one row alone is too long.

    Args:
        height: Height in pixels.
        width: Width in pixels.
        parts: By how much tiles are smaller than usual, for work that takes more memory for each pixel.

    """
    pixels = max(1, _PIXELS // parts)
    across = min(width, pixels)
    down = pixels // max(1, across)
    for top in range(0, height, down):
        for left in range(0, width, max(1, across)):
            yield slice(top, min(top + down, height)), slice(left, min(left + across, width))
