"""A map of the network's input on the photo, without an array of the photo's size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from camgraph_core.frame import Frame, Size
from camgraph_core.tiles import Tile, tiles
from camgraph_core.types import AnyArray, FloatArray

_Taps = tuple[AnyArray, ...]


@dataclass(frozen=True, eq=False)
class LaidMap:
    """A map laid onto the photo: ``laid[rows, columns]`` is that part of it, bilinear between cells.

    Photo pixels that the network did not see are 0, and so are those without data.

    Attributes:
        cells: float32 [h_in, w_in], in the frame of the network's input.
        frame: Where the photo lies in the network's input.
        missing: Where the photo has no data, bool [H, W], of the photo's own size or of another.

    Raises:
        ValueError: The map has not the size of the network's input.

    """

    cells: FloatArray
    frame: Frame
    missing: AnyArray | None = None

    def __post_init__(self) -> None:
        if self.cells.shape != self.frame.network_size:
            raise ValueError(f"the map is {self.cells.shape}, not {self.frame.network_size}")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the photo."""
        return self.frame.photo_size

    def __getitem__(self, tile: Tile) -> FloatArray:
        """Some rows and columns of the photo, float32 [h, w]."""
        rows, columns = tile
        top, bottom, down, seen_rows = (tap[rows] for tap in self._down)
        left, right, across, seen_columns = (tap[columns] for tap in self._across)
        first = top.min()
        cells = self.cells[first : bottom.max() + 1]
        # Columns first: there are fewer rows of cells than of pixels.
        wide = _between(cells[:, left], cells[:, right], across[None, :])
        wide[:, ~seen_columns] = 0
        laid = _between(wide[top - first], wide[bottom - first], down[:, None])
        laid[~seen_rows] = 0
        if self.missing is not None:
            laid[nearest(self.missing, self.shape, tile)] = 0
        return laid

    def whole(self) -> FloatArray:
        """All of it, float32 [H, W]."""
        laid = np.empty(self.shape, np.float32)
        for tile in tiles(*self.shape):
            laid[tile] = self[tile]
        return laid

    @cached_property
    def _down(self) -> _Taps:
        return self.frame.vertical.taps()

    @cached_property
    def _across(self) -> _Taps:
        return self.frame.horizontal.taps()


def nearest(mask: AnyArray, size: Size, tile: Tile | None = None) -> AnyArray:
    """A mask [H, W] at another size, or a tile of it: each pixel takes the nearest one."""
    rows, columns = tile or (slice(None), slice(None))
    if mask.shape == size:
        return mask[rows, columns]
    down, across = (
        ((np.arange(want)[part] + 0.5) * have / want).astype(np.intp)
        for have, want, part in zip(mask.shape, size, (rows, columns), strict=True)
    )
    taken: AnyArray = mask[down[:, None], across]
    return taken


def _between(first: FloatArray, second: FloatArray, weight: FloatArray) -> FloatArray:
    """First + weight * (second - first): exactly ``first`` where both are equal or the weight is 0."""
    result: FloatArray = second - first
    result *= weight
    result += first
    return result
