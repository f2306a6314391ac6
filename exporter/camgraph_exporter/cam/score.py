"""Finds the score: the tensor before a softmax, log-softmax or sigmoid at the end, and what a target of it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.cam.class_part import ClassPart, class_part
from camgraph_exporter.cam.layouts import layout_of
from camgraph_exporter.errors import ScoreError, UnknownTensorError, closest
from camgraph_exporter.graph.dims import Dims, dims_of
from camgraph_exporter.graph.quantisation import maker, real_form, shown
from camgraph_exporter.prepare.prepare import Prepared

HEADS = {
    "softmax": pb.HEAD_KIND_SOFTMAX,
    "log-softmax": pb.HEAD_KIND_LOG_SOFTMAX,
    "sigmoid": pb.HEAD_KIND_SIGMOID,
    "none": pb.HEAD_KIND_NONE,
}
TASKS = {
    "classification": pb.TASK_CLASSIFICATION,
    "segmentation": pb.TASK_SEGMENTATION,
    "detection": pb.TASK_DETECTION,
    "embedding": pb.TASK_EMBEDDING,
}
_OPERATORS = {
    "Softmax": pb.HEAD_KIND_SOFTMAX,
    "LogSoftmax": pb.HEAD_KIND_LOG_SOFTMAX,
    "Sigmoid": pb.HEAD_KIND_SIGMOID,
}
_PASS_THROUGH = {"Identity", "Dropout", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"}


@dataclass(frozen=True)
class Score:
    """The tensor y of scores.

    `class_axis`: where its classes are. `num_classes`: how many a target may name; two for a single logit. For an
    embedding it is the length of the vector. `part`: where the output holds the classes, if it holds more than them.
    `note`: a remark for the user on what was guessed.
    """

    value: ir.Value
    kind: pb.HeadKind
    output: ir.Value
    task: pb.Task
    num_classes: int
    class_axis: int
    single_logit: bool = False
    num_anchors: int = 0
    part: ClassPart | None = None
    note: str = ""

    @property
    def name(self) -> str:
        """The tensor's name in the source."""
        return str(self.value.name)

    @property
    def logits(self) -> int:
        """Number of scores along the class axis."""
        return 1 if self.single_logit else self.num_classes

    def head(self) -> pb.Head:
        """Return the manifest's account of the head."""
        embedding = self.task == pb.TASK_EMBEDDING
        return pb.Head(
            score_tensor=self.name,
            kind=self.kind,
            num_classes=0 if embedding else self.num_classes,
            embedding_size=self.num_classes if embedding else 0,
            single_logit=self.single_logit,
            output_name=str(self.output.name),
            num_anchors=self.num_anchors,
            class_slice=pb.ClassSlice(axis=self.part.axis, start=self.part.start) if self.part is not None else None,
        )


@dataclass(frozen=True)
class ScoreOptions:
    """What the user says about the score; None where it is found by itself.

    `tensor`: its name. `task`: one of `TASKS`. `head`: one of `HEADS`. `class_axis`: where the classes of a detector
    are.
    """

    tensor: str | None = None
    task: str | None = None
    head: str | None = None
    class_axis: int | None = None


def find_score(prepared: Prepared, options: ScoreOptions | None = None) -> Score:
    """Find the score behind the first output that can be one, or take the tensor that the user named.

    Raises:
        ScoreError: there is no such tensor, or it is not a score of the task.

    """
    options = options or ScoreOptions()
    score = _named(prepared, options) if options.tensor is not None else _first(prepared, options)
    return replace(score, kind=HEADS[options.head]) if options.head is not None else score


def _named(prepared: Prepared, options: ScoreOptions) -> Score:
    assert options.tensor is not None
    value = prepared.value(options.tensor)
    if value is None:
        raise UnknownTensorError(
            f"There is no tensor {options.tensor!r} to take as the score."
            f"{closest(options.tensor, prepared.values())} Without --score it is found automatically."
        )
    for output in prepared.graph.outputs:
        part, found = _found_behind(output)
        if value is found.value:
            return replace(_interpret(prepared, found, output, options), part=part)
        if value is output:
            return _interpret(prepared, _Found(value), output, options)
    return _interpret(prepared, _Found(value), prepared.graph.outputs[0], options)


def _first(prepared: Prepared, options: ScoreOptions) -> Score:
    problems = []
    for output in prepared.graph.outputs:
        part, found = _found_behind(output)
        try:
            score = replace(_interpret(prepared, found, output, options), part=part)
            return replace(score, note=_doubt(score))
        except ScoreError as error:
            problems.append(str(error))
    raise ScoreError(" ".join(problems))


def _doubt(score: Score) -> str:
    if score.task != pb.TASK_DETECTION or score.kind != pb.HEAD_KIND_NONE:
        return ""
    return (
        f"No sigmoid or softmax was found before output {score.output.name!r}, so that all of its "
        f"{score.num_classes} values count as classes. If there are box coordinates among them, name the tensor of the "
        "class scores with --score."
    )


@dataclass(frozen=True)
class _Found:
    """A tensor of scores and what is applied to it; `class_axis`: the axis that a softmax or an ArgMax runs over."""

    value: ir.Value
    kind: pb.HeadKind = pb.HEAD_KIND_NONE
    class_axis: int | None = None


def _found_behind(output: ir.Value) -> tuple[ClassPart | None, _Found]:
    """Return the scores that an output shows, and the part of it that they are in a detector's joined output."""
    part = class_part(output) if output.shape is not None and len(output.shape) == 3 else None
    return part, _strip(output if part is None else part.value)


def _strip(output: ir.Value) -> _Found:
    """Walk back from an output to the input of its last softmax or sigmoid; the output itself if there is none.

    The index of the best class leads to what it is the best of. Integers are shown as the real numbers that they stand
    for.
    """
    value = output
    while (node := maker(value)) is not None:
        form = real_form(node)
        operator = form.op_type if form is not None else node.op_type if node.domain == "" else ""
        source = node.inputs[0] if node.inputs else None
        if source is not None and operator == "ArgMax":
            found = _strip(source)
            return found if found.kind != pb.HEAD_KIND_NONE else _Found(source, class_axis=_axis(node, source, 0))
        if source is None or operator not in _OPERATORS.keys() | _PASS_THROUGH:
            break
        if operator in _OPERATORS:
            before = shown(source) or source
            value = _unflattened(before, output)
            axis = None if operator == "Sigmoid" else _softmax_axis(node, before, value)
            return _Found(value, _OPERATORS[operator], axis)
        value = source
    return _Found(shown(output) or output)


def _softmax_axis(node: ir.Node, source: ir.Value, value: ir.Value) -> int | None:
    """Return the axis of `value` that a softmax of `source`, which is `value` or a flattened one, runs over."""
    axis = _axis(node, source, -1)
    if axis is None or source.shape is None or value.shape is None or value is source:
        return axis
    return len(value.shape) - 1 if axis == len(source.shape) - 1 and source.shape[-1] == value.shape[-1] else None


def _axis(node: ir.Node, source: ir.Value, default: int) -> int | None:
    axis = node.attributes.get_int("axis", default)
    return axis % len(source.shape) if source.shape is not None else None


def _unflattened(source: ir.Value, output: ir.Value) -> ir.Value:
    """Step back over reshapes in front of a softmax that count other axes in with the batch, as old opsets did."""
    value = source
    while value.shape is not None and output.shape is not None and dims_of(value)[:1] != dims_of(output)[:1]:
        node = maker(value)
        if node is None or node.op_type not in {"Reshape", "Flatten"} or node.inputs[0] is None:
            return source
        value = node.inputs[0]
    return value


def _interpret(prepared: Prepared, found: _Found, output: ir.Value, options: ScoreOptions) -> Score:
    """Read the shape of a tensor as scores of the asked task, or of the task that the shape suggests."""
    value = found.value
    dims = _shape_of(value)
    if dims[:1] != dims_of(prepared.image)[:1]:
        raise ScoreError(
            f"Tensor {value.name!r} has the shape {list(dims)}, whose first axis does not count the images of the "
            "batch. Name scores that have the batch first with --score, or export the model with its batch first."
        )
    task = TASKS[options.task] if options.task is not None else _suggested_task(dims)
    options = replace(options, class_axis=options.class_axis or found.class_axis)
    return _READ[task](prepared, Score(value, found.kind, output, task, 0, 1), dims, options)


def _suggested_task(dims: Dims) -> pb.Task:
    wide = [axis for axis in range(1, len(dims)) if dims[axis] != 1]
    if len(dims) == 4 and len(wide) > 1:
        return pb.TASK_SEGMENTATION
    return pb.TASK_DETECTION if len(dims) == 3 and len(wide) == 2 else pb.TASK_CLASSIFICATION


def _classes(_prepared: Prepared, score: Score, dims: Dims, _options: ScoreOptions) -> Score:
    wide = [axis for axis in range(1, len(dims)) if dims[axis] != 1]
    if len(dims) < 2 or len(wide) > 1 or (wide and not isinstance(dims[wide[0]], int)):
        raise _misfit(score, dims, "one score for each class, [N, C]")
    if not wide:
        return replace(score, num_classes=2, single_logit=True)
    return replace(score, num_classes=_number(dims[wide[0]]), class_axis=wide[0])


def _vector(_prepared: Prepared, score: Score, dims: Dims, _options: ScoreOptions) -> Score:
    if len(dims) != 2 or not isinstance(dims[1], int):
        raise _misfit(score, dims, "an embedding [N, D]")
    return replace(score, num_classes=_number(dims[1]), kind=pb.HEAD_KIND_NONE)


def _pixels(prepared: Prepared, score: Score, dims: Dims, options: ScoreOptions) -> Score:
    last = layout_of(prepared, score.value) == pb.LAYER_LAYOUT_CHANNELS_LAST
    axis = options.class_axis or (3 if last else 1)
    if len(dims) != 4 or not isinstance(dims[axis], int):
        raise _misfit(score, dims, "one score for each class and pixel, [N, C, H, W]")
    single = dims[axis] == 1
    return replace(score, class_axis=axis, num_classes=2 if single else _number(dims[axis]), single_logit=single)


def _boxes(_prepared: Prepared, score: Score, dims: Dims, options: ScoreOptions) -> Score:
    if len(dims) != 3 or not any(isinstance(dim, int) for dim in dims[1:]):
        raise _misfit(score, dims, "one score for each box and class, [N, boxes, C] or [N, C, boxes]")
    sizes = [dim if isinstance(dim, int) else float("inf") for dim in dims]
    axis = options.class_axis or (2 if sizes[2] <= sizes[1] else 1)
    boxes = dims[3 - axis]
    return replace(
        score, class_axis=axis, num_classes=_number(dims[axis]), num_anchors=boxes if isinstance(boxes, int) else 0
    )


_READ: dict[pb.Task, Callable[[Prepared, Score, Dims, ScoreOptions], Score]] = {
    pb.TASK_CLASSIFICATION: _classes,
    pb.TASK_SEGMENTATION: _pixels,
    pb.TASK_DETECTION: _boxes,
    pb.TASK_EMBEDDING: _vector,
}


def _number(dim: int | str) -> int:
    if not isinstance(dim, int):
        raise ScoreError("The number of classes depends on the image. Name the class axis with --class-axis.")
    return dim


def _misfit(score: Score, dims: Dims, wanted: str) -> ScoreError:
    return ScoreError(
        f"Tensor {score.name!r} has the shape {list(dims)}, not {wanted}. "
        "Name the class scores with --score, and their kind with --task."
    )


def _shape_of(value: ir.Value) -> Dims:
    if value.dtype is None or not value.dtype.is_floating_point():
        raise ScoreError(
            f"Tensor {value.name!r} is not a score: its elements are {value.dtype}. Name the scores with --score."
        )
    if value.shape is None:
        raise ScoreError(f"The shape of tensor {value.name!r} is not known. Name the class scores with --score.")
    return dims_of(value)
