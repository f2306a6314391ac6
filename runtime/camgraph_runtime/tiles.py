"""Pictures a few rows at a time: what is computed on the way to a picture never covers all of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from camgraph_runtime.types import FloatArray

_PIXELS = 1 << 15  # a tile of three channels in float32 stays in the cache of one core


class Rows(Protocol):
    """A map [H, W] whose rows can be taken: an array, or one that is computed when its rows are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width."""

    def __getitem__(self, rows: slice, /) -> FloatArray:
        """Some whole rows, [h, W]."""


def tiles(height: int, width: int) -> Iterator[slice]:
    """The rows of a picture in tiles, from top to bottom; each tile has one row at least."""
    rows = max(1, _PIXELS // max(1, width))
    for start in range(0, height, rows):
        yield slice(start, min(start + rows, height))
