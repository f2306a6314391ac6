"""Follows the meaning of axes through a reshape: which are kept, which are merged, which are split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import onnx_ir as ir

from camgraph_exporter.graph.dims import Dim, Dims, dims_of, matching_axes
from camgraph_exporter.reading.axis import (
    FRAMES,
    HEIGHT,
    WIDTH,
    Axes,
    Axis,
    Role,
    TokenGrid,
    is_role,
    is_spatial_pair,
)

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
    first, *rest = (axes[i] for i in old)
    dims = dims_of(x)
    if len(rest) == 1 and is_spatial_pair(first, rest[0]):
        return Axis(Role.TOKENS, TokenGrid(0, dims[old[0]], dims[old[1]], x, (old[0], old[1])))
    if is_role(first, Role.FRAMES):
        return _merged_frames(x, old, rest)
    if is_role(first, Role.BATCH, Role.MERGED) and None not in rest and _knows_frames(axes):
        return _merged_batch(axes, dims, old)
    if is_role(first, Role.HEIGHT, Role.WIDTH) and all(axis is None for axis in rest):
        return first  # cells and the pixels of a cell, as after a split
    return None


def _merged_frames(x: ir.Value, old: Sequence[int], rest: Sequence[Axis | None]) -> Axis | None:
    """Return the tokens of all frames of a clip, one frame after the other."""
    frames, inner = dims_of(x)[old[0]], rest[0]
    if not isinstance(frames, int):
        return None
    if len(rest) == 2 and is_spatial_pair(*rest):
        height, width = dims_of(x)[old[1]], dims_of(x)[old[2]]
        return Axis(Role.TOKENS, TokenGrid(0, height, width, x, (old[1], old[2]), frames))
    if len(rest) == 1 and is_role(inner, Role.TOKENS) and inner is not None and inner.grid is not None:
        single = inner.grid.prefix == 0 and not inner.grid.frames
        return Axis(Role.TOKENS, replace(inner.grid, frames=frames)) if single else None
    return None


def _knows_frames(axes: Axes) -> bool:
    return any(is_role(axis, Role.FRAMES, Role.MERGED) for axis in axes)


def _merged_batch(axes: Axes, dims: Dims, old: Sequence[int]) -> Axis:
    """Return the batch together with what is counted in with it."""
    parts: list[tuple[Axis | None, Dim]] = []
    for i in old:
        axis = axes[i]
        parts += axis.parts if axis is not None and axis.parts else [(axis, dims[i])]
    return Axis(Role.MERGED, parts=tuple(parts))


def _split(axis: Axis | None, sizes: Sequence[Dim]) -> list[Axis | None]:
    """Split one axis: tokens become their map again; height or width become (cells, pixels of a cell)."""
    rest: list[Axis | None] = [None] * (len(sizes) - 1)
    if axis is None:
        return [None, *rest]
    if axis.grid is not None:
        return _split_tokens(axis.grid, sizes)
    if axis.parts:
        return _split_batch(axis, sizes)
    return [axis if axis.role in (Role.HEIGHT, Role.WIDTH) else None, *rest]


def _split_tokens(grid: TokenGrid, sizes: Sequence[Dim]) -> list[Axis | None]:
    if grid.prefix:
        return [None] * len(sizes)
    if list(sizes) == list(grid.sizes):
        return [*([FRAMES] if grid.frames else []), HEIGHT, WIDTH]
    if grid.frames and len(sizes) == 2 and sizes[0] == grid.frames:
        return [FRAMES, Axis(Role.TOKENS, replace(grid, frames=0))]
    return [None] * len(sizes)


def _split_batch(axis: Axis, sizes: Sequence[Dim]) -> list[Axis | None]:
    """Take the batch and what was counted in with it apart again, wholly or in part."""
    parts = [(part, size) for part, size in axis.parts if size != 1]
    if [size for _, size in parts] == list(sizes):
        return [part for part, _ in parts]
    # The first axes stay together where only the last ones are taken out: [N * t * h, w] of [N * t * h * w].
    kept = len(parts) - len(sizes) + 1
    if kept > 1 and [size for _, size in parts[kept:]] == list(sizes[1:]):
        return [Axis(Role.MERGED, parts=tuple(parts[:kept])), *(part for part, _ in parts[kept:])]
    return [None] * len(sizes)
