"""Finds the tensor that holds the boxes of a detector's candidates, and how its numbers read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from camgraph_exporter.boxes.form import BoxForm, recognise
from camgraph_exporter.boxes.sample import sample_of
from camgraph_exporter.errors import ScoreError, UnknownTensorError, closest
from camgraph_exporter.graph.dims import Dim, dims_of
from camgraph_exporter.graph.walk import needed_for
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.score.class_part import ClassPart

_SIDES = 4


@dataclass(frozen=True)
class BoxTensor:
    """Where the boxes are: the first four numbers of `value` along `axis`, for each candidate one."""

    value: ir.Value
    axis: int
    form: BoxForm


@dataclass(frozen=True)
class Wanted:
    """What boxes must fit to: `scores` [N, boxes, C] with the classes on `class_axis`, and what the user says.

    `part`: where an output holds the classes, if it holds more than them; `is_ranked`: the outputs hold only the best
    boxes. `name`, `format` and `unit` are the user's, None where they are to be found.
    """

    scores: ir.Value
    class_axis: int
    output: ir.Value
    part: ClassPart | None
    is_ranked: bool
    name: str | None = None
    format: str | None = None
    unit: str | None = None

    @property
    def boxes(self) -> Dim:
        """How many candidates there are."""
        return dims_of(self.scores)[3 - self.class_axis]


def find_boxes(prepared: PreparedModel, wanted: Wanted) -> tuple[BoxTensor | None, str]:
    """Return the tensor of the boxes, and a note for the user; None where no tensor looks like boxes.

    Raises:
        ScoreError: the tensor that the user named does not hold a box for each candidate.

    """
    if wanted.name is not None:
        return _named(prepared, wanted, wanted.name)
    for value, axis in _candidates(prepared, wanted):
        found = _read(prepared, value, axis, wanted)
        if found is not None:
            return found, _note(found, wanted)
    return None, (
        "No tensor was found that holds a box for each candidate, in corners or as centre and size: objects are not "
        "listed, and no box is drawn. Name the tensor of the decoded boxes with --boxes."
    )


def _named(prepared: PreparedModel, wanted: Wanted, name: str) -> tuple[BoxTensor, str]:
    value = prepared.value(name)
    if value is None:
        raise UnknownTensorError(f"There is no tensor {name!r} to take as the boxes.{closest(name, prepared.values())}")
    axis = _box_axis(value, wanted, more=True)
    if axis is None:
        shape = list(dims_of(value)) if value.shape is not None else "unknown"
        raise ScoreError(
            f"Tensor {name!r} has the shape {shape}, not a box for each of the {wanted.boxes} candidates: "
            f"[N, {wanted.boxes}, 4] or [N, 4, {wanted.boxes}]. Name the decoded boxes with --boxes."
        )
    found = _read(prepared, value, axis, wanted)
    if found is None:
        raise ScoreError(
            f"The numbers of tensor {name!r} look neither like corners nor like centre and size on random images. Say "
            "what they are with --box-format, or name the decoded boxes with --boxes."
        )
    return found, _note(found, wanted)


def _candidates(prepared: PreparedModel, wanted: Wanted) -> Iterator[tuple[ir.Value, int]]:
    """Yield the tensors that may hold the boxes, each with the axis of their numbers, the likeliest first."""
    if wanted.part is not None and wanted.part.start >= _SIDES:
        yield wanted.output, wanted.part.axis
    for output in prepared.graph.outputs:
        axis = _box_axis(output, wanted)
        if axis is not None and output is not wanted.output:
            yield output, axis
    if wanted.is_ranked:
        yield from _before_ranking(prepared, wanted)


def _before_ranking(prepared: PreparedModel, wanted: Wanted) -> Iterator[tuple[ir.Value, int]]:
    """Yield the inner tensors that hold a box for each candidate, the last of the model first."""
    nodes = list(prepared.graph)
    shown = needed_for(nodes, list(prepared.graph.outputs))
    for node in reversed(nodes):
        for value in node.outputs:
            axis = _box_axis(value, wanted) if value in shown else None
            if axis is not None and value is not wanted.scores and wanted.scores not in needed_for(nodes, [value]):
                yield value, axis


def _box_axis(value: ir.Value, wanted: Wanted, *, more: bool = False) -> int | None:
    """Return the axis with the four numbers (with `more` also of other ones after them) of a box for each candidate."""
    if value.shape is None or value.dtype is None or not value.dtype.is_floating_point():
        return None
    dims = dims_of(value)
    if len(dims) != 3 or dims[0] != dims_of(wanted.scores)[0]:
        return None
    for axis in (2, 1):
        size = dims[axis]
        if dims[3 - axis] == wanted.boxes and isinstance(size, int) and (size == _SIDES or (more and size > _SIDES)):
            return axis
    return None


def _read(prepared: PreparedModel, value: ir.Value, axis: int, wanted: Wanted) -> BoxTensor | None:
    if wanted.format is not None and wanted.unit is not None:
        return BoxTensor(value, axis, BoxForm(wanted.format, wanted.unit == "normalised"))
    boxes = np.moveaxis(sample_of(prepared, value), axis, 2)[..., :_SIDES]
    form = recognise(boxes, wanted.format, wanted.unit)
    return None if form is None else BoxTensor(value, axis, form)


def _note(found: BoxTensor, wanted: Wanted) -> str:
    guessed = [word for word, stated in (("--box-format", wanted.format), ("--box-unit", wanted.unit)) if not stated]
    if not guessed:
        return ""
    unit = "shares of the input's sides" if found.form.is_normalised else "pixels of the input"
    return (
        f"The boxes are read from {found.value.name!r} as {found.form.format} in {unit}, by what random images give; "
        f"state it with {' and '.join(guessed)} if that is wrong."
    )
