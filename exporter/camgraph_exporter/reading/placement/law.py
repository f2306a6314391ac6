"""Where the map of a layer lies: in each run that was seen, and as one law for every size of image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.reading.axis import TokenGrid
from camgraph_exporter.reading.placement.elements import Array, Elements, LocatedAxis, Lost, split
from camgraph_exporter.reading.placement.located import Located

_NO_GRID = "its cells are in an order that is not a grid of the image"
_ASKEW = "its rows and columns do not run along the image's height and width"
# Of a cell: what rounding of sizes may move a map from one size of image to another.
_ROUNDING = 0.5


class PlaceError(Exception):
    """Where a map lies is not known; the text is a clause that says why."""


@dataclass(frozen=True)
class CellLine:
    """The `count` cells along one axis of a map, on an axis of the image that is `length` pixels long.

    `start` is the outer edge of the first cell, `stride` the way from one to the next, `coarsest` the largest cell of
    the maps on the way here, all in pixels.
    """

    count: int
    start: float
    stride: float
    length: int
    coarsest: float

    def is_stretch(self) -> bool:
        """Tell whether a stretch over the whole axis lays every cell less than a cell away from its place."""
        middles = self.start + self.stride * (np.arange(self.count) + 0.5)
        stretched = self.length / self.count * (np.arange(self.count) + 0.5)
        return bool(self.stride > 0 and np.abs(middles - stretched).max() < max(self.stride, self.coarsest))


@dataclass(frozen=True)
class MapPlace:
    """Where a map lies in one run; `is_transposed` if its rows lie along the image's width."""

    rows: CellLine
    columns: CellLine
    is_transposed: bool

    def is_stretch(self) -> bool:
        """Tell whether a stretch over the whole image lays every cell less than a cell away from its place."""
        return not self.is_transposed and self.rows.is_stretch() and self.columns.is_stretch()


def place_of_map(value: Located, axes: tuple[int, int], image: tuple[int, int]) -> MapPlace:
    """Return where a map lies whose rows and columns are two of its axes.

    Raises:
        PlaceError: it is not known, or not a grid along the image's axes.

    """
    rows, columns = value.axes[axes[0]], value.axes[axes[1]]
    others = [axis for i, axis in enumerate(value.axes) if i not in axes]
    return _grid(value, _origin(value, others), rows, columns, image)


def place_of_tokens(
    value: Located, axis: int, grid: TokenGrid, cells: tuple[int, int], image: tuple[int, int]
) -> MapPlace:
    """Return where the map lies that one axis of tokens holds.

    Raises:
        PlaceError: it is not known, or not a grid along the image's axes.

    """
    others = [other for i, other in enumerate(value.axes) if i != axis]
    row = value.axes[axis]
    if isinstance(row, Lost):
        raise PlaceError(row.reason)
    kept = Elements(row.offsets[grid.prefix : grid.prefix + cells[0] * cells[1]], row.cell)
    parts = split(kept, cells) if len(kept) == cells[0] * cells[1] else None
    if parts is None:
        raise PlaceError(_NO_GRID)
    return _grid(value, _origin(value, others), parts[0], parts[1], image)


def _origin(value: Located, others: Sequence[LocatedAxis]) -> Array:
    """Return where the map begins: channels that show places within a cell are taken together."""
    origin = value.origin
    for axis in others:
        if isinstance(axis, Lost):
            raise PlaceError(axis.reason)
        if (axis.spread > value.cell + 1e-6).any():
            raise PlaceError("its channels, or the images of its batch, show different places of the image")
        origin = origin + np.nan_to_num(axis.mean)
    return np.asarray(origin)


def _grid(value: Located, origin: Array, rows: LocatedAxis, columns: LocatedAxis, image: tuple[int, int]) -> MapPlace:
    down, across = (_line(origin, axis, image, value.coarsest) for axis in (rows, columns))
    if {down[0], across[0]} != {0, 1}:
        raise PlaceError(_ASKEW)
    return MapPlace(down[1], across[1], is_transposed=down[0] == 1)


def _line(origin: Array, axis: LocatedAxis, image: tuple[int, int], coarsest: Array) -> tuple[int, CellLine]:
    """Return the image's axis along which an axis of a map leads, and its cells there."""
    if isinstance(axis, Lost):
        raise PlaceError(axis.reason)
    step = axis.step()
    if step is None:
        raise PlaceError(_NO_GRID)
    leads = np.flatnonzero(np.abs(step) > 1e-6 * max(1.0, float(np.abs(step).max())))
    if len(leads) != 1:
        raise PlaceError(_ASKEW)
    along = int(leads[0])
    start = origin + axis.offsets.mean(axis=0) - step * (len(axis) / 2)
    return along, CellLine(len(axis), float(start[along]), float(step[along]), image[along], float(coarsest[along]))


def law_of(places: Sequence[MapPlace]) -> pb.Placement:
    """Return one law for the places of a map on images of different sizes.

    Raises:
        PlaceError: no simple law gives all of them.

    """
    if len({place.is_transposed for place in places}) > 1:
        raise PlaceError("it turns with the size of the image")
    return pb.Placement(
        rows=_axis_law([place.rows for place in places]),
        columns=_axis_law([place.columns for place in places]),
        transposed=places[0].is_transposed,
    )


def _axis_law(lines: Sequence[CellLine]) -> pb.AxisPlacement:
    first = lines[0]
    for law in _laws(first, lines[-1]):
        if all(_holds(law, line) for line in lines):
            return law
    raise PlaceError("it changes with the size of the image in no simple way")


def _laws(first: CellLine, last: CellLine) -> Iterator[pb.AxisPlacement]:
    """Yield what graphs do with images of any size, the usual first: two lines alone allow any law."""
    for share in (0.0, 1.0, 0.5):  # cut so many pixels from the front, from the end, from the middle
        yield pb.AxisPlacement(start=first.start - share * first.length, start_share=share, stride=first.stride)
    if first.length != last.length:  # cut such a part, and what paddings move
        share = (last.start - first.start) / (last.length - first.length)
        start = first.start - share * first.length
        if abs(start) <= max(first.coarsest, abs(first.stride)):
            yield pb.AxisPlacement(start=start, start_share=share, stride=first.stride)
    # resize to one size
    yield pb.AxisPlacement(start_share=first.start / first.length, stride_share=first.stride / first.length)


def _holds(law: pb.AxisPlacement, line: CellLine) -> bool:
    """Tell whether a law lays the first and the last cell of a line where they are, but for the rounding of sizes."""
    start = law.start + law.start_share * line.length
    stride = law.stride + law.stride_share * line.length
    off = max(abs(start - line.start), abs(start - line.start + (stride - line.stride) * line.count))
    return off <= _ROUNDING * abs(line.stride)
