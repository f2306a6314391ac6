"""From a mask, a polygon or a point of the photo to the cells of the score map."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidInputError, UnsupportedError
from camgraph_core.frame import Frame
from camgraph_core.laid import nearest
from camgraph_core.marked import Marked
from camgraph_core.place import Mask, Place, Point, Polygon, Region
from camgraph_core.rectangle import Rectangle
from camgraph_core.target import Target
from camgraph_core.types import AnyArray, ByteArray, FloatArray
from camgraph_runtime.maps.placement import Placement, mask_size
from camgraph_runtime.tasks.slots import TargetInput, TargetSlot

_STEPS = 256  # across a polygon, to tell how much of it is seen
_WORTH_SAYING = 0.01  # of a mask or polygon that is not seen


def mask_of(slot: TargetSlot) -> ByteArray:
    """The cells that a fitted slot marks, uint8 [h, w]."""
    if not isinstance(slot.place, Mask):
        raise ValueError("a mask lies on the score map in a plan that was fitted: fit the plan first")
    return slot.place.array


MASK_INPUT = TargetInput("mask_input", np.uint8, mask_of)


@dataclass(frozen=True)
class ScoreMap:
    """Where the cells of the score map lie on the photo.

    Attributes:
        frame: Where the photo lies in the network's input.
        placement: Where the score map lies there.
        off_image: It is not a map of the image, and lies nowhere.

    """

    frame: Frame
    placement: Placement
    off_image: bool = False

    @classmethod
    def of(cls, manifest: pb.Manifest, frame: Frame) -> ScoreMap:
        """The score map of a graph.

        Raises:
            InvalidInputError: The input is too small for the graph.

        """
        names, size = manifest.target, mask_size(manifest, frame.network_size)
        stated = names.mask_placement if names.HasField("mask_placement") else None
        return cls(frame, Placement.of_manifest(stated, frame.network_size, size), names.mask_off_image)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.placement.rows.cells, self.placement.columns.cells

    def marked(self, cells: AnyArray) -> Marked | None:
        """Cells [h, w] on the photo; None where they lie nowhere on it."""
        return None if self.off_image else Marked(*self._upright(cells))

    def on_photo(self) -> AnyArray:
        """Whether the network sees the photo in the middle of each cell, bool [h, w]."""
        (_, on_rows), (_, on_columns) = self._middles()
        return self._of_upright(on_rows[:, None] & on_columns[None, :])

    def of_mask(self, mask: Mask) -> ByteArray:
        """The cells of a mask, by nearest neighbour: uint8 [h, w] of zeros and ones.

        Raises:
            InvalidInputError: The mask has another size, or nothing of it lies on the map.

        """
        array = mask.array
        of_cells = mask.on_scores or self.off_image
        if array.shape == self.size and (of_cells or array.shape != self.frame.photo_size):
            return array
        if of_cells or array.shape != self.frame.photo_size:
            sizes = f"the score map {_text(self.size)}"
            sizes = sizes if of_cells else f"the image is {_text(self.frame.photo_size)} and {sizes}"
            raise InvalidInputError(
                f"The mask is {_text(array.shape)}, but {sizes} (width x height); give the mask "
                f"{'this size' if of_cells else 'one of these sizes'}."
            )
        rows, columns = self._centres()
        laid = self._of_upright(self.frame.nearest(array, rows, columns))
        return _not_empty(laid, "mask") if array.any() else laid

    def of_polygon(self, polygon: Polygon) -> ByteArray:
        """The cells whose middles lie in a polygon, uint8 [h, w] of zeros and ones.

        Raises:
            InvalidInputError: There are none.

        """
        (down, on_rows), (across, on_columns) = self._middles()
        inside = _inside(polygon, down, across) & on_rows[:, None] & on_columns[None, :]
        return _not_empty(self._of_upright(inside), "polygon")

    def of_photo(self, values: AnyArray) -> FloatArray:
        """Values of the photo's pixels at the middles of the cells, float32 [h, w]; 0 where the network sees none."""
        values = nearest(values, self.frame.photo_size)
        down, across = self._centres()
        (rows, on_rows), (columns, on_columns) = self.frame.vertical.pixels(down), self.frame.horizontal.pixels(across)
        seen = on_rows[:, None] & on_columns[None, :]
        return self._of_upright(np.where(seen, values[rows[:, None], columns[None, :]], np.float32(0)))

    def cell_of(self, point: Point) -> tuple[int, int]:
        """Row and column of the cell under a point.

        Raises:
            InvalidInputError: The network does not see it.

        """
        _, frame = self._upright(np.zeros(self.size))
        rows, columns = self.frame.seen
        x = frame.horizontal.scale * point.x + frame.horizontal.offset
        y = frame.vertical.scale * point.y + frame.vertical.offset
        on_map = 0 <= y < frame.vertical.network and 0 <= x < frame.horizontal.network
        if not (on_map and columns.start <= point.x < columns.stop and rows.start <= point.y < rows.stop):
            view = Rectangle(columns.start, rows.start, columns.stop, rows.stop)
            raise InvalidInputError(
                f"The network does not see the point {point.x:g}, {point.y:g}: of the image it sees {view}."
            )
        row, column = int(y), int(x)
        return (column, row) if self.placement.transposed else (row, column)

    def unseen_share(self, place: Mask | Polygon) -> float:
        """Share of a mask's or a polygon's area that the network does not see, 0..1; 0 for a mask of the map itself."""
        rows, columns = self.frame.seen
        if isinstance(place, Mask):
            if place.on_scores or self.off_image or place.array.shape != self.frame.photo_size:
                return 0.0
            return _missing(place.array[rows, columns], place.array)
        x, y = np.array(place.corners).T
        across, down = (_steps(axis.min(), axis.max()) for axis in (x, y))
        inside = _inside(place, down, across)
        in_view = np.logical_and.outer(_lies_in(down, rows), _lies_in(across, columns))
        return _missing(inside & in_view, inside)

    def _upright(self, cells: AnyArray) -> tuple[AnyArray, Frame]:
        """Cells with their rows along the photo's height, and where the photo lies on them."""
        place, (height, width) = self.placement, self.frame.network_size
        down, across = (place.columns, place.rows) if place.transposed else (place.rows, place.columns)
        vertical = self.frame.vertical.then(down.on(height))
        horizontal = self.frame.horizontal.then(across.on(width))
        return (cells.T if place.transposed else cells), Frame(vertical, horizontal)

    def _centres(self) -> tuple[AnyArray, AnyArray]:
        """Middles of the cells along the height and the width of the network's input."""
        rows, columns = self.placement.rows.centres(), self.placement.columns.centres()
        return (columns, rows) if self.placement.transposed else (rows, columns)

    def _middles(self) -> tuple[tuple[AnyArray, AnyArray], tuple[AnyArray, AnyArray]]:
        """The same on the photo, and whether the network sees the photo there."""
        down, across = self._centres()
        return self.frame.vertical.on_photo(down), self.frame.horizontal.on_photo(across)

    def _of_upright(self, cells: AnyArray) -> AnyArray:
        return np.ascontiguousarray(cells.T if self.placement.transposed else cells)


def checked_place(target: Target, manifest: pb.Manifest) -> Place | None:
    """The place of a target as it goes into a slot; an empty mask is none.

    Raises:
        UnsupportedError: It is a place of the photo, where the scores lie nowhere on the image.

    """
    place = target.place
    if manifest.target.mask_off_image and isinstance(place, Polygon | Point | Region):
        size = manifest.target.mask_size
        raise UnsupportedError(
            f"The scores of {manifest.head.score_tensor!r} are not a map of the image, so a "
            f"{type(place).__name__.lower()} names none of them. Name a class, and cells by a mask of "
            f"{size.columns.margin} x {size.rows.margin} (width x height)."
        )
    return None if isinstance(place, Mask) and not place.array.any() else place


def fitted(slot: TargetSlot, score_map: ScoreMap) -> TargetSlot:
    """A slot with the cells that it marks as its mask, all zero without a place; its remark says what is not seen.

    Of a point it is the cell under it.

    Raises:
        InvalidInputError: The mask has another size, or no cell is marked.

    """
    place = slot.place
    if not isinstance(place, Mask | Polygon):
        cells = np.zeros(score_map.size, np.uint8)
        if isinstance(place, Point):
            cells[score_map.cell_of(place)] = 1
        return replace(slot, place=Mask(cells, on_scores=True))
    cells = score_map.of_mask(place) if isinstance(place, Mask) else score_map.of_polygon(place)
    unseen = score_map.unseen_share(place)
    remark = ""
    if unseen >= _WORTH_SAYING:
        what = type(place).__name__.lower()
        remark = f"{unseen:.0%} of the {what} lies outside what the network sees, and does not count."
    return replace(slot, place=Mask(cells, on_scores=True), remark=remark)


def _inside(polygon: Polygon, down: AnyArray, across: AnyArray) -> AnyArray:
    """Whether the points of a grid [h], [w] lie in a polygon, by the even-odd rule: bool [h, w]."""
    x, y = np.array(polygon.corners).T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    inside = np.zeros((len(down), len(across)), bool)
    for row, height in enumerate(down):
        crossing = (y <= height) != (next_y <= height)
        share = (height - y[crossing]) / (next_y[crossing] - y[crossing])
        where = np.sort(x[crossing] + share * (next_x[crossing] - x[crossing]))
        inside[row] = np.searchsorted(where, across, side="right") % 2 == 1
    return inside


def _steps(start: float, stop: float) -> AnyArray:
    """Middles of steps of equal length from one position to another."""
    return start + (np.arange(_STEPS) + 0.5) * (stop - start) / _STEPS


def _lies_in(positions: AnyArray, part: slice) -> AnyArray:
    inside: AnyArray = (positions >= part.start) & (positions < part.stop)
    return inside


def _missing(seen: AnyArray, whole: AnyArray) -> float:
    """Share of the marked elements that are not among those that are seen."""
    return 1 - float(np.count_nonzero(seen)) / max(float(np.count_nonzero(whole)), 1.0)


def _not_empty(laid: AnyArray, what: str) -> ByteArray:
    if not laid.any():
        raise InvalidInputError(
            f"The {what} covers no pixel of the score map: what it marks was cropped away, or is smaller than a "
            "pixel of the map. Mark a larger place in the middle of the photo."
        )
    return np.asarray(laid != 0, np.uint8)


def _text(size: tuple[int, ...]) -> str:
    return f"{size[1]} x {size[0]}"
