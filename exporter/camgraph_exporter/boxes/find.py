"""Finds the tensor that holds the boxes of a detector's candidates, and how its numbers read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from camgraph_exporter.boxes.cells import cells_of
from camgraph_exporter.boxes.form import YOLOX, BoxForm, recognise
from camgraph_exporter.boxes.sample import sample_of
from camgraph_exporter.errors import ScoreError, UnknownTensorError, closest
from camgraph_exporter.graph.dims import Dim, dims_of, known_dims, shape_text
from camgraph_exporter.graph.traits import Trait, has
from camgraph_exporter.graph.walk import needed_for
from camgraph_exporter.image.layout import sides_of
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.score.added_score import append, constant
from camgraph_exporter.score.class_part import ClassPart
from camgraph_exporter.score.columns import SIDES
from camgraph_exporter.score.odds import sources_of
from camgraph_exporter.score.pieces import part_of, unquantised


@dataclass(frozen=True)
class BoxTensor:
    """Where the boxes are: the first four numbers of `value` along `axis`, for each candidate one.

    `cells`: column, row and stride of each box's cell, float32 [boxes, 3], where the numbers count from there.
    `source`: the model's own tensor, where `value` is that without an axis of size 1.
    """

    value: ir.Value
    axis: int
    form: BoxForm
    cells: np.ndarray | None = None
    source: ir.Value | None = None

    @property
    def name(self) -> str:
        """The tensor's name in the source."""
        return str((self.source or self.value).name)


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
    undecoded = ""
    for value, axis in _candidates(prepared, wanted):
        if wanted.format is None and _is_convolution(prepared, value, axis):
            undecoded = undecoded or str(value.name)
            continue
        found = _read(prepared, value, axis, wanted)
        if found is not None:
            return found, _note(found, wanted)
    if undecoded:
        return None, (
            f"The boxes of {undecoded!r} come straight from a convolution, so the graph does not decode them: objects "
            f"are not listed, and no box is drawn. {_advice(prepared, wanted)}"
        )
    return None, (
        "No tensor was found that holds a box for each candidate, in corners or as centre and size: objects are not "
        "listed, and no box is drawn. Name the tensor of the decoded boxes with --boxes."
    )


def _named(prepared: PreparedModel, wanted: Wanted, name: str) -> tuple[BoxTensor, str]:
    value = prepared.value(name)
    if value is None:
        raise UnknownTensorError(f"There is no tensor {name!r} to take as the boxes.{closest(name, prepared.values())}")
    value = _of_three_axes(prepared, value)
    axis = _box_axis(value, wanted, more=True)
    if axis is None:
        shape = shape_text(value)
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
    if wanted.part is not None and wanted.part.start >= SIDES:
        yield wanted.output, wanted.part.axis
    for output in prepared.graph.outputs:
        value = _of_three_axes(prepared, output)
        axis = _box_axis(value, wanted)
        if axis is not None and output is not wanted.output:
            yield value, axis
    if wanted.is_ranked:
        yield from _before_ranking(prepared, wanted)


def _before_ranking(prepared: PreparedModel, wanted: Wanted) -> Iterator[tuple[ir.Value, int]]:
    """Yield the inner tensors that hold a box for each candidate, the last of the model first."""
    nodes = list(prepared.graph)
    shown = needed_for(nodes, list(prepared.graph.outputs)) - needed_for(nodes, [wanted.scores])
    for node in reversed(nodes):
        for value in node.outputs:
            axis = _box_axis(value, wanted) if value in shown else None
            if axis is not None and wanted.scores not in needed_for(nodes, [value]):
                yield value, axis


def _of_three_axes(prepared: PreparedModel, value: ir.Value) -> ir.Value:
    """Return boxes of the shape [N, boxes, 1, 4] without the axis that says nothing, and any other value as it is."""
    dims = known_dims(value)
    if len(dims) != 4 or dims[2] != 1:
        return value
    axes = constant(prepared, np.array([2]))
    return append(prepared, "Squeeze", [value, axes], {}, (*dims[:2], dims[3]), value)


def _box_axis(value: ir.Value, wanted: Wanted, *, more: bool = False) -> int | None:
    """Return the axis with the four numbers (with `more` also of other ones after them) of a box for each candidate."""
    if value.shape is None or value.dtype is None or not value.dtype.is_floating_point():
        return None
    dims = dims_of(value)
    if len(dims) != 3 or dims[0] != dims_of(wanted.scores)[0]:
        return None
    for axis in (2, 1):
        size = dims[axis]
        if dims[3 - axis] == wanted.boxes and isinstance(size, int) and (size == SIDES or (more and size > SIDES)):
            return axis
    return None


def _read(prepared: PreparedModel, value: ir.Value, axis: int, wanted: Wanted) -> BoxTensor | None:
    cells = _cells(prepared, wanted) if wanted.format == YOLOX else None
    if wanted.format is not None and (wanted.unit is not None or cells is not None):
        form: BoxForm | None = BoxForm(wanted.format, is_normalised=cells is None and wanted.unit == "normalised")
    else:
        boxes = np.moveaxis(sample_of(prepared, value), axis, 2)[..., :SIDES]
        form = recognise(boxes, wanted.format, wanted.unit)
    node, is_own = value.producer(), str(value.name) in prepared.values()
    source = None if is_own or node is None else node.inputs[0]
    return None if form is None else BoxTensor(value, axis, form, cells, source)


def _is_convolution(prepared: PreparedModel, value: ir.Value, axis: int) -> bool:
    """Tell whether a convolution gives the four numbers as they are, which so do not know where their cell lies."""
    sources = sources_of(prepared, part_of(value, axis, 0, SIDES))
    makers = (unquantised(source.value).producer() for source in sources)
    return all(node is not None and has(node, Trait.PRODUCT) and has(node, Trait.SLIDES) for node in makers)


def _advice(prepared: PreparedModel, wanted: Wanted) -> str:
    export = "xport the model with the part that decodes its boxes."
    try:
        _cells(prepared, wanted)
    except ScoreError:
        return f"E{export}"
    return f"State --box-format {YOLOX} if the model is a YOLOX; else e{export}"


def _cells(prepared: PreparedModel, wanted: Wanted) -> np.ndarray:
    height, width = sides_of(prepared.image)
    boxes = wanted.boxes
    if not isinstance(height, int) or not isinstance(width, int) or not isinstance(boxes, int):
        raise ScoreError(
            f"--box-format {YOLOX} decodes boxes for one size of input, which this model leaves open. Export the model "
            "with a fixed size, or with the part that decodes its boxes."
        )
    cells = cells_of(boxes, height, width)
    if cells is None:
        raise ScoreError(
            f"--box-format {YOLOX} wants one box for each cell of maps whose strides double, such as 8, 16 and 32. On "
            f"an input of {width} x {height} pixels these are not {boxes} boxes."
        )
    return cells


def _note(found: BoxTensor, wanted: Wanted) -> str:
    guessed = [word for word, stated in (("--box-format", wanted.format), ("--box-unit", wanted.unit)) if not stated]
    guessed = [] if found.form.format == YOLOX else guessed
    if not guessed:
        return ""
    unit = "shares of the input's sides" if found.form.is_normalised else "pixels of the input"
    return (
        f"The boxes are read from {found.name!r} as {found.form.format} in {unit}, by what random images give; "
        f"state it with {' and '.join(guessed)} if that is wrong."
    )
