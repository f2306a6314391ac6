"""Tells what the numbers of a detector's candidates are, where one output holds more than classes of each.

An output [N, boxes, 4 + 1 + C], or [N, 4 + 1 + C, boxes], has a box, how likely it is an object at all, and how likely
the object is of each class; models rank boxes by the product of the latter two. What each number is shows in how it is
computed: by a head of its own, by a sigmoid of its own, or together with boxes that are decoded from sigmoids.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import onnx_ir as ir

from camgraph_exporter.graph.dims import Dims, known_dims
from camgraph_exporter.graph.traits import Trait, has
from camgraph_exporter.graph.walk import needed_for, reached_from
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.score.odds import is_probable, sources_of
from camgraph_exporter.score.pieces import Piece, part_of, unquantised

SIDES = 4  # of a box
CLASSES, BOX_CLASSES, BOX_OBJECTNESS_CLASSES = "classes", "box,classes", "box,objectness,classes"
COLUMNS = (CLASSES, BOX_CLASSES, BOX_OBJECTNESS_CLASSES)
_MOST = 4096  # numbers of a candidate


@dataclass(frozen=True)
class Columns:
    """What the numbers of each candidate are, along `axis` of a tensor [N, ...] of three axes.

    Classes go from `start` to `stop`; `objectness` is the place of that number, None without one. `is_probability`:
    they are sigmoids and products of them; else nothing is applied to them. `note`: what the user should know.
    """

    axis: int
    start: int
    stop: int
    objectness: int | None = None
    is_probability: bool = True
    note: str = ""


def columns_of(prepared: PreparedModel, output: ir.Value, num_labels: int) -> Columns | None:
    """Return what the numbers of an output's candidates are, if that shows; None where nothing speaks against classes.

    `num_labels`: how many class labels are known, zero for none.
    """
    dims = known_dims(output)
    if len(dims) != 3:
        return None
    axis = shorter_axis(dims)
    size = dims[axis]
    if not isinstance(size, int) or not SIDES < size <= _MOST:
        return None
    return _Reader(prepared, output, axis, size).read(num_labels)


def stated_columns(prepared: PreparedModel, value: ir.Value, stated: str, class_axis: int | None) -> Columns | None:
    """Return what the user says of the numbers of each candidate; None where that does not fit the tensor's shape."""
    dims = known_dims(value)
    if len(dims) != 3:
        return None
    axis = shorter_axis(dims) if class_axis is None else class_axis
    size = dims[axis] if axis < len(dims) else None
    start = SIDES + (stated == BOX_OBJECTNESS_CLASSES)
    if not isinstance(size, int) or size <= start:
        return None
    reader = _Reader(prepared, value, axis, size)
    objectness = SIDES if stated == BOX_OBJECTNESS_CLASSES else None
    return Columns(axis, start, size, objectness, is_probability=is_probable(prepared, reader.cut(SIDES, size)))


def shorter_axis(dims: Dims) -> int:
    """Return the axis of a candidate's numbers in a tensor [N, ...] of three axes: there are more candidates."""
    sizes = [dim if isinstance(dim, int) else math.inf for dim in dims]
    return 2 if sizes[2] <= sizes[1] else 1


class _Reader:
    """Reads one axis of an output as the numbers of its candidates."""

    def __init__(self, prepared: PreparedModel, output: ir.Value, axis: int, size: int) -> None:
        self._prepared, self._output, self._axis, self._size = prepared, output, axis, size

    def cut(self, start: int, stop: int) -> Piece:
        """Return the numbers from `start` to `stop` of all candidates."""
        return part_of(self._output, self._axis, start, stop)

    def read(self, num_labels: int) -> Columns | None:
        """Return what the numbers are."""
        stop = self._end_of_sigmoids()
        return self._of_heads() if stop is None else self._of_sigmoids(stop, num_labels)

    def _end_of_sigmoids(self) -> int | None:
        """Return where the sigmoids after the box's four numbers end; None where there are none."""
        if not is_probable(self._prepared, self.cut(SIDES, SIDES + 1)):
            return None
        low, high = SIDES + 1, self._size
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if is_probable(self._prepared, self.cut(SIDES, middle)) else (low, middle - 1)
        return low

    def _of_sigmoids(self, stop: int, num_labels: int) -> Columns | None:
        """Tell whether the first of the sigmoids after a box is an objectness, and not a class."""
        boxes, scores = self._sources(0, SIDES), self._sources(SIDES, stop)
        rest = stop - SIDES - 1
        if {box.value for box in boxes} & {score.value for score in scores} and num_labels != max(rest, 1):
            return None  # one sigmoid of everything: classes, for all that shows
        classes, with_objectness = Columns(self._axis, SIDES, stop), Columns(self._axis, SIDES + 1, stop, SIDES)
        if rest == 0:
            return classes
        if self._is_whole(SIDES, SIDES + 1) and self._is_whole(SIDES + 1, stop):
            return with_objectness
        if not self._shares_head(boxes, scores):
            return classes
        if num_labels in (rest, rest + 1):
            return with_objectness if num_labels == rest else classes
        if self._has_sigmoid(boxes, scores):
            return replace(with_objectness, note=_ANCHORED)
        return replace(classes, note=_UNCLEAR)

    def _of_heads(self) -> Columns | None:
        """Tell classes and boxes apart where nothing is applied to either, by convolutions of their own."""
        size = self._size
        forms = (
            Columns(self._axis, SIDES + 1, size, SIDES, is_probability=False),
            Columns(self._axis, 0, size - SIDES - 1, size - 1, is_probability=False),
            Columns(self._axis, SIDES, size, is_probability=False),
            Columns(self._axis, 0, size - SIDES, is_probability=False),
        )
        fitting = [form for form in forms if form.start < form.stop and self._is_of_heads(form)]
        return fitting[0] if len(fitting) == 1 else None

    def _is_of_heads(self, form: Columns) -> bool:
        box = form.stop if form.start == 0 else 0
        scores = [(form.start, form.stop)]
        scores += [] if form.objectness is None else [(form.objectness, form.objectness + 1)]
        if not all(self._is_whole(*part) for part in [(box, box + SIDES), *scores]):
            return False
        makers = (unquantised(source.value).producer() for part in scores for source in self._sources(*part))
        return all(node is not None and not has(node, Trait.ACTIVATION | Trait.OVER_AXIS) for node in makers)

    def _sources(self, start: int, stop: int) -> list[Piece]:
        return sources_of(self._prepared, self.cut(start, stop))

    def _is_whole(self, start: int, stop: int) -> bool:
        """Tell whether some numbers are all that was computed together, of each group of candidates."""
        sources, first = self._sources(start, stop), self._sources(start, start + 1)
        return all(source.is_whole for source in sources) and len(sources) == len(first)

    def _heads(self, pieces: list[Piece]) -> set[ir.Value]:
        """Return what the sigmoids are applied to, before it was moved."""
        found = set()
        for piece in pieces:
            node = unquantised(piece.value).producer()
            if node is not None and node.op_type == "Sigmoid" and node.inputs[0] is not None:
                before = Piece(node.inputs[0], piece.axes, piece.cut, is_exact=piece.is_exact)
                found |= {source.value for source in sources_of(self._prepared, before) if not source.is_whole}
        return found

    def _shares_head(self, boxes: list[Piece], scores: list[Piece]) -> bool:
        """Tell whether the boxes are made from what the sigmoids' head gives beside them."""
        made_from = needed_for(self._prepared.graph, [box.value for box in boxes])
        return bool(self._heads(scores) & made_from)

    def _has_sigmoid(self, boxes: list[Piece], scores: list[Piece]) -> bool:
        """Tell whether boxes are decoded from sigmoids, as those of anchors are in the YOLOs up to the seventh."""
        nodes = list(self._prepared.graph)
        between = needed_for(nodes, [box.value for box in boxes]) & reached_from(nodes, self._heads(scores))
        makers = (value.producer() for value in between)
        return any(node is not None and node.op_type == "Sigmoid" for node in makers)


_ANCHORED = (
    "Boxes are decoded from sigmoids of the same head, as in a YOLO with anchors, so the first number after them is "
    "taken for how likely the box is an object. State --columns box,classes if it is a class."
)
_UNCLEAR = (
    "The first number after the boxes is taken for a class. If it says how likely the box is an object, state "
    "--columns box,objectness,classes."
)
