"""Where the elements of a tensor lie on the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from camgraph_exporter.graph.dims import matching_axes
from camgraph_exporter.reading.placement.elements import WAYS, Array, Elements, LocatedAxis, Lost, fixed, merged, split

_FEWEST_CELLS = 4
_NOTHING = 1e-6  # pixels


@dataclass(frozen=True, eq=False)
class Located:
    """A tensor on the image: element [i, j, ...] lies at origin + axes[0].offsets[i] + axes[1].offsets[j] + ...

    `origin`: float64 [3], input pixels down and across, and frames on, of a centre. Made by `located`, which lets every
    axis begin at zero, so that equal places have equal numbers. `coarsest`: the largest cells, [3], of the
    maps on the way here, by which paddings may have moved it.
    """

    origin: Array
    axes: tuple[LocatedAxis, ...]
    coarsest: Array = field(default_factory=lambda: np.zeros(WAYS))

    @property
    def cell(self) -> Array:
        """Return the pixels that one element covers, down and across, and the frames, [3]."""
        cells = [axis.cell for axis in self.axes if isinstance(axis, Elements)]
        return np.asarray(np.max(cells, axis=0)) if cells else np.zeros(WAYS)

    def with_axis(self, index: int, axis: LocatedAxis) -> Located:
        """Return the same with one axis replaced."""
        return located(self.origin, [*self.axes[:index], axis, *self.axes[index + 1 :]])

    def lost(self) -> Lost | None:
        """Return the first axis that could not be followed."""
        return next((axis for axis in self.axes if isinstance(axis, Lost)), None)


def coarsened(result: Located, sources: Sequence[Located]) -> Located:
    """Return a tensor that was made from others with the largest cells on the way to it.

    Sources that lead to fewer places are gates, and maps of less than four cells averages: both have no say.
    """
    cells = [axis.cell for axis in result.axes if isinstance(axis, Elements) and len(axis) >= _FEWEST_CELLS]
    mains = [source.coarsest for source in sources if _directions(source) >= _directions(result)]
    return replace(result, coarsest=np.max([np.zeros(WAYS), *cells, *mains], axis=0))


def _directions(place: Located) -> int:
    """Return how many ways a tensor leads; channels that were joined from shifted maps lead no way of their own."""
    spreads = [axis.spread for axis in place.axes if isinstance(axis, Elements)]
    return int((np.max([np.zeros(WAYS), *spreads], axis=0) > _NOTHING).sum())


def located(origin: Array, axes: Sequence[LocatedAxis]) -> Located:
    """Return a tensor on the image with its axes beginning at zero."""
    start, kept = np.array(origin, np.float64), list(axes)
    for i, axis in enumerate(axes):
        if isinstance(axis, Lost):
            continue
        shown = np.flatnonzero(np.isfinite(axis.offsets).all(axis=1))
        if len(shown):
            first = axis.offsets[shown[0]]
            start = start + first
            kept[i] = Elements(axis.offsets - first, axis.cell)
    return Located(start, tuple(kept))


def same_axis(one: LocatedAxis, other: LocatedAxis, within: Array) -> bool:
    """Tell whether two axes lie in the same places, within a distance [3]."""
    if isinstance(one, Lost) or isinstance(other, Lost) or len(one) != len(other):
        return False
    off = np.abs(one.offsets - other.offsets)
    return bool((~np.isfinite(off) | (off <= within)).all())


def reshaped(x: Located, have: Sequence[int], want: Sequence[int], reason: str) -> Located:
    """Return a tensor of the shape `have` as one of the shape `want`, row by row."""
    groups = matching_axes(tuple(want), tuple(have))
    if groups is None:
        return Located(x.origin, (Lost(reason),) * len(want))
    axes: list[LocatedAxis] = [Lost(reason)] * len(want)
    origin = x.origin
    for new, old in groups:
        group = [x.axes[i] for i in old]
        lost = next((axis for axis in group if isinstance(axis, Lost)), None)
        whole = merged([axis for axis in group if isinstance(axis, Elements)] or [fixed(1)]) if lost is None else None
        parts = _parts(whole, [want[i] for i in new]) if whole is not None else None
        if parts is None:
            for i in new:
                axes[i] = lost or Lost(reason)
            continue
        for i, part in zip(new, parts, strict=True):
            axes[i] = part
        if not new and whole is not None:
            origin = origin + whole.offsets[0]
    return located(origin, axes)


def _parts(whole: Elements, sizes: Sequence[int]) -> list[Elements] | None:
    if len(sizes) == 1:
        return [whole]
    return split(whole, sizes) if sizes else []
