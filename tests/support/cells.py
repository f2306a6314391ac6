"""Where a cell of a map lies on the network's input, worked out from its edges."""

from __future__ import annotations

from camgraph_core.rectangle import Rectangle
from camgraph_runtime.maps.placement import CellAxis, Placement


def rectangle_of(placement: Placement, row: int, column: int) -> Rectangle:
    """The rectangle of one cell, in pixels of the input; it may reach over the edges, where a network pads."""
    down, across = _edges(placement.rows, row), _edges(placement.columns, column)
    if placement.transposed:
        down, across = across, down
    return Rectangle(left=across[0], top=down[0], right=across[1], bottom=down[1])


def _edges(axis: CellAxis, cell: int) -> tuple[float, float]:
    near, far = sorted(axis.start + axis.stride * edge for edge in (cell, cell + 1))
    return near, far
