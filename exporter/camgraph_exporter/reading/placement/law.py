"""Where the map of a layer lies: in each run that was seen, and as one law for every size of image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.reading.axis import TokenGrid
from camgraph_exporter.reading.placement.elements import FRAMES, Array, Elements, LocatedAxis, Lost, split
from camgraph_exporter.reading.placement.located import Located
from camgraph_exporter.reading.placement.windows import apart

_NO_GRID = "its cells are in an order that is not a grid of the image"
_ASKEW = "its rows and columns do not run along the image's height and width"
_OF_LOST = "it is made of a map whose place could not be followed"
_MIXED_FRAMES = "its frames do not run along those of the clip"
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
    """Where a map lies in one run; `is_transposed` if its rows lie along the image's width.

    `frames`: where its frames lie along those of a clip; None for single images, and for maps of all frames together.
    """

    rows: CellLine
    columns: CellLine
    is_transposed: bool
    frames: CellLine | None = None

    def is_stretch(self) -> bool:
        """Tell whether a stretch over the whole image lays every cell less than a cell away from its place."""
        lines = [self.rows, self.columns, *([self.frames] if self.frames is not None else [])]
        return not self.is_transposed and all(line.is_stretch() for line in lines)


def place_of_map(value: Located, axes: Sequence[int], image: Sequence[int]) -> MapPlace:
    """Return where a map lies.

    Args:
        value: where the tensor lies that holds it.
        axes: those of its frames, if it has any, rows and columns.
        image: the image's height and width, and for a clip how many frames it has.

    Raises:
        PlaceError: it is not known, or not a grid along the image's axes.

    """
    others = [axis for i, axis in enumerate(value.axes) if i not in axes]
    return _grid(value, _origin(value, others), [value.axes[i] for i in axes], image)


def place_of_tokens(
    value: Located, axes: Sequence[int], grid: TokenGrid, cells: Sequence[int], image: Sequence[int]
) -> MapPlace:
    """Return where the map lies that the last of some axes, of tokens, holds, `cells` of them along each way.

    `axes` and `image` are as for `place_of_map`; frames are an axis of their own, or laid out in the tokens too.

    Raises:
        PlaceError: it is not known, or not a grid along the image's axes.

    """
    others = [other for i, other in enumerate(value.axes) if i not in axes]
    row, count = value.axes[axes[-1]], math.prod(cells)
    if isinstance(row, Lost):
        raise PlaceError(row.reason)
    kept = Elements(row.offsets[grid.prefix : grid.prefix + count], row.cell)
    parts = split(kept, cells) if len(kept) == count else None
    if parts is None:
        raise PlaceError(_NO_GRID)
    return _grid(value, _origin(value, others), [*(value.axes[i] for i in axes[:-1]), *parts], image)


def _origin(value: Located, others: Sequence[LocatedAxis]) -> Array:
    """Return where the map begins: channels that show places within a cell are taken together."""
    origin = value.origin
    for axis in others:
        if isinstance(axis, Lost):
            raise PlaceError(axis.reason)
        if (axis.spread > apart(value) + 1e-6).any():
            raise PlaceError("its channels, or the images of its batch, show different places of the image")
        origin = origin + np.nan_to_num(axis.mean)
    if not np.isfinite(origin).all():
        raise PlaceError(_OF_LOST)
    return np.asarray(origin)


def _grid(value: Located, origin: Array, axes: Sequence[LocatedAxis], image: Sequence[int]) -> MapPlace:
    *frames, down, across = (_line(origin, axis, image, value.coarsest) for axis in axes)
    if {down[0], across[0]} != {0, 1}:
        raise PlaceError(_ASKEW)
    if any(along != FRAMES for along, _ in frames):
        raise PlaceError(_MIXED_FRAMES)
    return MapPlace(down[1], across[1], down[0] == 1, frames[0][1] if frames else None)


def _line(origin: Array, axis: LocatedAxis, image: Sequence[int], coarsest: Array) -> tuple[int, CellLine]:
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
    frames = [place.frames for place in places if place.frames is not None]
    return pb.Placement(
        rows=_axis_law([place.rows for place in places]),
        columns=_axis_law([place.columns for place in places]),
        transposed=places[0].is_transposed,
        frames=_axis_law(frames) if frames else None,
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
