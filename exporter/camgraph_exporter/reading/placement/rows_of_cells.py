"""Tells from where the elements of a row lie that they are the cells of a map, row by row.

Some networks cut their map into windows, carry these in with the batch, and lay them out again (Hiera, TNT), so that no
axis is height or width on the way. The places of the elements still say what the row is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camgraph_exporter.reading.placement.elements import Elements, Lost
from camgraph_exporter.reading.placement.located import Located

_EXACT = 1e-6


@dataclass(frozen=True)
class RowOfCells:
    """A row that holds `prefix` elements without a place, such as a class token, and then height x width cells."""

    prefix: int
    height: int
    width: int


def row_of_cells(value: Located) -> RowOfCells | None:
    """Return what axis 1 of [N, S, K] holds; None if it is no map in rows and columns, or channels lie apart."""
    if len(value.axes) != 3:
        return None
    images, row, channels = value.axes
    if isinstance(images, Lost) or isinstance(row, Lost) or isinstance(channels, Lost):
        return None
    if not (images.is_fixed and channels.is_fixed):
        return None
    return _grid(row)


def _grid(row: Elements) -> RowOfCells | None:
    shown = np.asarray(np.isfinite(row.offsets).all(axis=1))
    count, prefix = int(shown.sum()), int(shown.argmax())
    cells = row.offsets[prefix : prefix + count]
    if count < 2 or not shown[prefix : prefix + count].all():
        return None
    leaves = np.flatnonzero(np.abs(cells[:, 0] - cells[0, 0]) > _EXACT)
    width = int(leaves[0]) if len(leaves) else count
    if width in (1, count) or count % width:
        return None
    grid = cells.reshape(-1, width, cells.shape[1])
    down, across = grid[:, 0], grid[0]
    straight = np.abs(grid - down[:, None] - across[None] + grid[0, 0]).max() <= _EXACT * max(1.0, np.abs(grid).max())
    if not straight or (np.ptp(down, axis=0)[1:] > _EXACT).any() or (np.ptp(across, axis=0)[[0, 2]] > _EXACT).any():
        return None
    even = all(Elements(line, row.cell).step() is not None for line in (down, across))
    return RowOfCells(prefix, len(grid), width) if even else None
