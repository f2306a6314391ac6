"""Where the elements along one axis of a tensor lie on the image.

The place of an element is a sum over its axes: in a map [N, K, h, w] the rows lead down and the columns lead
across, in a row of tokens one axis leads both ways, and the images of a batch all lie in one place. The frames of a
clip lead on, a third way. So an axis can be cut, reversed, merged with another or split in two on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# The ways that an axis may lead: down, across, and on through the frames of a clip.
WAYS = 3
FRAMES = 2  # the number of the last one
# Of a cell: elements that are off their line by more are in another order, not rounded.
_OFF_LINE = 0.35
_EXACT = 1e-6
_MOST_ELEMENTS = 1 << 22


@dataclass(frozen=True)
class Lost:
    """An axis whose elements could not be followed; `reason` says why: "node 'x' (TopK) ..."."""

    reason: str


@dataclass(frozen=True, eq=False)
class Elements:
    """The elements along one axis.

    `offsets`: float64 [n, 3], input pixels down and across, and frames on, from where the axis begins; NaN for an
    element that shows no place, such as a class token. `cell`: float64 [3], the pixels that one element covers, down
    and across, and the frames; zero in a direction in which the axis does not lead.
    """

    offsets: Array
    cell: Array

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def spread(self) -> Array:
        """Return how far the elements lie apart, [3]."""
        if not np.isfinite(self.offsets).any():
            return np.zeros(WAYS)
        return np.asarray(np.nanmax(self.offsets, axis=0) - np.nanmin(self.offsets, axis=0))

    @property
    def mean(self) -> Array:
        """Return the middle of the elements, [3]; NaN where none shows a place."""
        shown = self.offsets[np.isfinite(self.offsets).all(axis=1)]
        return np.asarray(shown.mean(axis=0)) if len(shown) else np.full(WAYS, np.nan)

    @property
    def is_fixed(self) -> bool:
        """Tell whether all elements lie in one place."""
        return bool((np.abs(self.offsets) <= _EXACT).all())

    def step(self) -> Array | None:
        """Return the way from one element to the next, [3], or None where the elements are not on a line."""
        if len(self) == 1:
            return self.cell
        if len(self) == 0 or not np.isfinite(self.offsets).all():
            return None
        step = (self.offsets[-1] - self.offsets[0]) / (len(self) - 1)
        off = np.abs(self.offsets - self.offsets.mean(axis=0) - step * _centred(len(self))).max(axis=0)
        return step if (off <= _OFF_LINE * np.abs(step) + _EXACT).all() else None

    def take(self, indices: Sequence[int] | NDArray[np.intp]) -> Elements:
        """Return the elements of the given indices; every second one of a line covers two."""
        chosen = np.asarray(indices, np.intp)
        stride = int(abs(chosen[1] - chosen[0])) if len(chosen) > 1 else 1
        even = len(chosen) > 1 and bool((np.abs(np.diff(chosen)) == stride).all())
        return Elements(self.offsets[chosen], self.cell * (stride if even and stride else 1))

    def along_line(self, count: int, factor: float, shift: float) -> Elements | None:
        """Return `count` new elements, of which number i lies at element `factor * i + shift`; None without a line."""
        if factor == 1 and shift == 0 and count == len(self):
            return self
        if len(self) == 0:
            return fixed(count)
        step = self.step()
        if step is None:
            return None
        first = self.offsets.mean(axis=0) - step * (len(self) - 1) / 2
        positions = factor * np.arange(count)[:, None] + shift
        return Elements(first + step * positions, self.cell * abs(factor))

    def repeated(self, count: int) -> Elements:
        """Return the elements as often as it takes to fill `count`."""
        return Elements(np.resize(self.offsets, (count, WAYS)), self.cell)


LocatedAxis = Elements | Lost


def fixed(count: int) -> Elements:
    """Return elements that all lie in one place."""
    return Elements(np.zeros((count, WAYS)), np.zeros(WAYS))


def line(count: int, step: Sequence[float]) -> Elements:
    """Return elements at equal distances."""
    way = np.asarray(step, np.float64)
    return Elements(np.arange(count)[:, None] * way, np.abs(way))


def unplaced(count: int) -> Elements:
    """Return elements that show no place."""
    return Elements(np.full((count, WAYS), np.nan), np.zeros(WAYS))


def _centred(count: int) -> Array:
    return np.asarray((np.arange(count) - (count - 1) / 2)[:, None])


def merged(axes: Sequence[Elements]) -> Elements | None:
    """Return axes as one, row by row; None if that has too many elements."""
    if np.prod([len(axis) for axis in axes], dtype=float) > _MOST_ELEMENTS:
        return None
    return reduce(_merged_pair, axes)


def _merged_pair(outer: Elements, inner: Elements) -> Elements:
    if len(inner) == 1 or len(outer) == 1:
        sums = outer.offsets[:, None] + inner.offsets[None]
        return Elements(sums.reshape(-1, WAYS), np.maximum(outer.cell, inner.cell))
    step = outer.step()
    if inner.is_fixed and step is not None and step.any():
        # Elements of one place that follow each other within a cell of a line divide it, as sub-pixels do.
        inner = Elements(_centred(len(inner)) * step / len(inner), outer.cell / len(inner))
        outer = Elements(outer.offsets, np.zeros(WAYS))
    sums = outer.offsets[:, None] + inner.offsets[None]
    return Elements(sums.reshape(-1, WAYS), np.maximum(outer.cell, inner.cell))


def split(axis: Elements, sizes: Sequence[int]) -> list[Elements] | None:
    """Return an axis as several, of the given sizes; None where the places are not a sum over them."""
    grid = axis.offsets.reshape(*sizes, WAYS)
    first = grid[(0,) * len(sizes)]
    ways = [
        grid[tuple(slice(None) if i == number else 0 for i in range(len(sizes)))] - first
        for number in range(len(sizes))
    ]
    total = first + sum(
        way.reshape(*(size if i == number else 1 for i, size in enumerate(sizes)), WAYS)
        for number, way in enumerate(ways)
    )
    if not np.isfinite(grid).all() or np.abs(total - grid).max() > _EXACT * max(1.0, float(np.abs(grid).max())):
        return None
    ways[0] = ways[0] + first
    return _with_cells(ways, axis.cell)


def _with_cells(ways: Sequence[Array], cell: Array) -> list[Elements]:
    """Give every part its cell: the smallest way between its elements; a single element takes what no other has."""
    cells = [np.array([_gap(column) for column in way.T]) for way in ways]
    single = next((i for i in reversed(range(len(ways))) if len(ways[i]) == 1), None)
    if single is not None:
        cells[single] = np.where(np.any(cells, axis=0), 0.0, cell)
    return [Elements(way, part) for way, part in zip(ways, cells, strict=True)]


def _gap(values: Array) -> float:
    gaps = np.diff(np.unique(values))
    gaps = gaps[gaps > _EXACT]
    return float(gaps.min()) if len(gaps) else 0.0
