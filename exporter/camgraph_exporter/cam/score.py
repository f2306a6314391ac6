"""Finds the score: the tensor before a softmax, log-softmax or sigmoid at the end, and what a target of it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
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
    embedding it is the length of the vector.
    """

    value: ir.Value
    kind: pb.HeadKind
    output: ir.Value
    task: pb.Task
    num_classes: int
    class_axis: int
    single_logit: bool = False
    num_anchors: int = 0

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
        stripped, kind = _strip(output)
        if value is output or value is stripped:
            return _interpret(prepared, value, kind if value is stripped else pb.HEAD_KIND_NONE, output, options)
    return _interpret(prepared, value, pb.HEAD_KIND_NONE, prepared.graph.outputs[0], options)


def _first(prepared: Prepared, options: ScoreOptions) -> Score:
    problems = []
    for output in prepared.graph.outputs:
        value, kind = _strip(output)
        try:
            return _interpret(prepared, value, kind, output, options)
        except ScoreError as error:
            problems.append(str(error))
    raise ScoreError(" ".join(problems))


def _strip(output: ir.Value) -> tuple[ir.Value, pb.HeadKind]:
    """Walk back from an output to the input of its last softmax or sigmoid; the output itself if there is none.

    Integers are shown as the real numbers that they stand for.
    """
    value = output
    while (node := maker(value)) is not None:
        form = real_form(node)
        operator = form.op_type if form is not None else node.op_type if node.domain == "" else ""
        source = node.inputs[0] if node.inputs else None
        if source is None or operator not in _OPERATORS.keys() | _PASS_THROUGH:
            break
        if operator in _OPERATORS:
            return shown(source) or source, _OPERATORS[operator]
        value = source
    return shown(output) or output, pb.HEAD_KIND_NONE


def _interpret(
    prepared: Prepared, value: ir.Value, kind: pb.HeadKind, output: ir.Value, options: ScoreOptions
) -> Score:
    """Read the shape of a tensor as scores of the asked task, or of the task that the shape suggests."""
    dims = _shape_of(value)
    task = TASKS[options.task] if options.task is not None else _suggested_task(dims)
    return _READ[task](prepared, Score(value, kind, output, task, 0, 1), dims, options)


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
