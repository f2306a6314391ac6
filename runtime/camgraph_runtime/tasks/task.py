"""From targets to the columns that a graph computes: checked values for its inputs, each column once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import TargetError, UnsupportedError
from camgraph_core.place import Box, Direction, Mask
from camgraph_core.target import Target
from camgraph_core.types import AnyArray, ByteArray, FloatArray
from camgraph_runtime.tasks.labels import target_code


@dataclass(frozen=True, eq=False)
class Column:
    """Values of one column of the graph's inputs and outputs, along the axis T.

    Attributes:
        code: For ``target``: ``c >= 0`` is class c, ``-r`` the class of rank r; 0 for an embedding.
        anchor: For ``anchor``: ``a >= 0`` is box a, ``-r`` the class's r-th best.
        mask: For ``mask``: uint8 [H, W], as the user gave it, or None, which means where the class wins. In a
            plan that was fitted to an image: on the score map, and all zero instead of None.
        cotangent: For ``cotangent``: float32 [D].

    """

    code: int = 0
    anchor: int = -1
    mask: ByteArray | None = None
    cotangent: FloatArray | None = None

    @property
    def key(self) -> Hashable:
        """Equal for columns of equal values."""
        return self.code, self.anchor, _array_key(self.mask), _array_key(self.cotangent)


def _array_key(array: AnyArray | None) -> Hashable:
    return None if array is None else array.tobytes()


ColumnPair = tuple[int, int | None]


def task_of(manifest: pb.Manifest) -> pb.Task:
    """What one target of a graph is."""
    return manifest.task or pb.TASK_CLASSIFICATION


def make_columns(targets: Iterable[Target], manifest: pb.Manifest) -> tuple[tuple[Column, ...], tuple[ColumnPair, ...]]:
    """The distinct columns of the targets, and for each target its column and that of its contrast, if any.

    Raises:
        TargetError: A class, box or direction does not exist or is missing.
        UnsupportedError: A target names what graphs of this task do not take.

    """
    number_of: dict[Hashable, int] = {}
    columns: list[Column] = []

    def number(target: Target) -> int:
        column = _column(target, manifest)
        if number_of.setdefault(column.key, len(columns)) == len(columns):
            columns.append(column)
        return number_of[column.key]

    pairs = tuple(
        (number(target), number(against) if (against := target.resolved_contrast) else None) for target in targets
    )
    return tuple(columns), pairs


def _column(target: Target, manifest: pb.Manifest) -> Column:
    task = task_of(manifest)
    named = ["a class"] if target.selector is not None else []
    named += [_PLACES[type(target.place)]] if target.place is not None else []
    for what in named:
        if what not in _TAKES[task]:
            wanted = next(other for other, takes in _TAKES.items() if what in takes)
            raise UnsupportedError(
                f"The target names {what}, which takes a graph for {task_name(wanted)}; "
                f"this graph is for {task_name(task)}."
            )
    return _COLUMN_OF[task](target, manifest)


def task_name(task: pb.Task) -> str:
    """A task in words, such as "segmentation"."""
    return pb.Task.Name(task).removeprefix("TASK_").lower()


def _class_column(target: Target, manifest: pb.Manifest) -> Column:
    return Column(code=target_code(target, manifest.head.num_classes, manifest.class_labels))


def _region_column(target: Target, manifest: pb.Manifest) -> Column:
    mask = target.mask if target.mask is not None and target.mask.any() else None
    return replace(_class_column(target, manifest), mask=mask)


def _box_column(target: Target, manifest: pb.Manifest) -> Column:
    box = target.place if isinstance(target.place, Box) else Box(rank=1)
    boxes = manifest.head.num_anchors  # zero where it depends on the image
    if boxes and box.index is not None and box.index >= boxes:
        raise TargetError(
            f"There is no box {box.index}: the model has {boxes} boxes, with the indices 0 to {boxes - 1}."
        )
    if boxes and box.rank is not None and box.rank > boxes:
        raise TargetError(f"There is no box of rank {box.rank}: the model has {boxes} boxes.")
    anchor = box.index if box.index is not None else -(box.rank or 1)
    return replace(_class_column(target, manifest), anchor=anchor)


def _direction_column(target: Target, manifest: pb.Manifest) -> Column:
    size = manifest.head.embedding_size
    if not isinstance(target.place, Direction):
        raise TargetError(
            "The graph is for an embedding model, which has no classes: "
            f"give every target and contrast a cotangent of {size} numbers."
        )
    direction = target.place.array
    if direction.size != size:
        raise TargetError(
            f"The cotangent has {direction.size} numbers, but the embedding has {size}; "
            "give the embedding of this model."
        )
    return Column(cotangent=direction)


def _value_column(target: Target, manifest: pb.Manifest) -> Column:
    head = manifest.head
    index = target.selector
    if isinstance(index, int) and index >= head.num_classes:
        wanted = (
            "1 for more of it, or 0 for less" if head.single_logit else f"an index from 0 to {head.num_classes - 1}"
        )
        count = "one number" if head.single_logit else f"{head.num_classes} numbers"
        raise TargetError(f"There is no target {index}: the model gives {count}; give {wanted}.")
    return _class_column(target, manifest)


_PLACES = {Mask: "a mask", Box: "an anchor", Direction: "a cotangent"}
_TAKES: dict[pb.Task, tuple[str, ...]] = {
    pb.TASK_CLASSIFICATION: ("a class",),
    pb.TASK_SEGMENTATION: ("a class", "a mask"),
    pb.TASK_DETECTION: ("a class", "an anchor"),
    pb.TASK_EMBEDDING: ("a cotangent",),
    pb.TASK_REGRESSION: ("a class",),
}
_COLUMN_OF: dict[pb.Task, Callable[[Target, pb.Manifest], Column]] = {
    pb.TASK_CLASSIFICATION: _class_column,
    pb.TASK_SEGMENTATION: _region_column,
    pb.TASK_DETECTION: _box_column,
    pb.TASK_EMBEDDING: _direction_column,
    pb.TASK_REGRESSION: _value_column,
}
