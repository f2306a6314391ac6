"""Follows the meaning of axes through a reshape: which are kept, which are merged, which are split."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from camgraph_exporter.graph.dims import Dim, Dims, dims_of, matching_axes
from camgraph_exporter.reading.axis import HEIGHT, WIDTH, Axes, Axis, Role, TokenGrid, is_role, is_spatial_pair

Group = tuple[Sequence[int], Sequence[int]]


def reshaped_axes(x: ir.Value, axes: Axes, y: ir.Value) -> Axes:
    """Return the axes of `y`, a reshaped `x` whose axes are known."""
    have, want = dims_of(x), dims_of(y)
    result: list[Axis | None] = [None] * len(want)
    for new, old in matching_axes(want, have) or _ends_and_middle(want, have):
        if len(new) == len(old) == 1:
            result[new[0]] = axes[old[0]]
            continue
        # Axes of size 1 say nothing: they come and go freely.
        parts, whole = [i for i in new if want[i] != 1], [i for i in old if have[i] != 1]
        if len(parts) == 1:
            result[parts[0]] = _merged(x, axes, whole)
        elif len(whole) == 1 and parts:
            for i, axis in zip(parts, _split(axes[whole[0]], [want[i] for i in parts]), strict=True):
                result[i] = axis
    return tuple(result)


def _ends_and_middle(y: Dims, x: Dims) -> list[Group]:
    """Pair equal sizes from both ends and take what is left as one group: all that can be said of dynamic sizes."""
    front = 0
    while front < min(len(y), len(x)) and y[front] == x[front]:
        front += 1
    back = 0
    while back < min(len(y), len(x)) - front and y[-1 - back] == x[-1 - back]:
        back += 1
    groups: list[Group] = [([i], [i]) for i in range(front)]
    groups += [([len(y) - 1 - i], [len(x) - 1 - i]) for i in range(back)]
    return [*groups, (range(front, len(y) - back), range(front, len(x) - back))]


def _merged(x: ir.Value, axes: Axes, old: Sequence[int]) -> Axis | None:
    if len(old) == 1:
        return axes[old[0]]
    if len(old) == 2 and is_spatial_pair(axes[old[0]], axes[old[1]]):
        dims = dims_of(x)
        grid = TokenGrid(0, dims[old[0]], dims[old[1]], x, (old[0], old[1]))
        return Axis(Role.TOKENS, grid)
    if is_role(axes[old[0]], Role.HEIGHT, Role.WIDTH) and all(axes[i] is None for i in old[1:]):
        return axes[old[0]]  # cells and the pixels of a cell, as after a split
    return None


def _split(axis: Axis | None, sizes: Sequence[Dim]) -> list[Axis | None]:
    """Split one axis: tokens become their map again; height or width become (cells, pixels of a cell)."""
    rest: list[Axis | None] = [None] * (len(sizes) - 1)
    if axis is None:
        return [None, *rest]
    if axis.role == Role.TOKENS and axis.grid is not None:
        whole = axis.grid.prefix == 0 and list(sizes) == [axis.grid.height, axis.grid.width]
        return [HEIGHT, WIDTH] if whole else [None, *rest]
    return [axis if axis.role in (Role.HEIGHT, Role.WIDTH) else None, *rest]
