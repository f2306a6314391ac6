"""Pictures a tile at a time: what is computed on the way to a picture never covers all of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeAlias

from camgraph_core.types import FloatArray

Tile: TypeAlias = tuple[slice, slice]
"""Rows and columns of a picture."""

_PIXELS = 1 << 15  # a tile of three channels in float32 stays in the cache of one core
_COLUMNS = 512  # so that a tile has many rows: what is worked out for a column, or a row of a map, serves them all


class TiledMap(Protocol):
    """A map [H, W] of which tiles can be taken: an array, or one that is computed where it is asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width."""

    def __getitem__(self, tile: Tile, /) -> FloatArray:
        """Some rows and columns, [h, w]."""


def tiles(height: int, width: int) -> Iterator[Tile]:
    """The tiles of a picture, row by row."""
    across = min(width, _COLUMNS, _PIXELS)
    down = _PIXELS // max(1, across)
    for top in range(0, height, down):
        for left in range(0, width, max(1, across)):
            yield slice(top, min(top + down, height)), slice(left, min(left + across, width))
