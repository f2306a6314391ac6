"""Finds the score: the tensor before a softmax, log-softmax or sigmoid at the end, and what a target of it is."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.choose.output import choose_output
from camgraph_exporter.errors import ScoreError, UnknownTensorError, closest
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.prepare.prepare import Prepared
from camgraph_exporter.score.one_number import is_quantity
from camgraph_exporter.score.output_head import OutputHead
from camgraph_exporter.score.ranking import ranked_scores
from camgraph_exporter.score.recognise import head_of
from camgraph_exporter.score.score_shape import ScoreShape, is_one_number, read_shape, score_dims, suggested_task

HEADS = {
    "softmax": pb.HEAD_KIND_SOFTMAX,
    "log-softmax": pb.HEAD_KIND_LOG_SOFTMAX,
    "sigmoid": pb.HEAD_KIND_SIGMOID,
    "probability": pb.HEAD_KIND_PROBABILITY,
    "none": pb.HEAD_KIND_NONE,
}
TASKS = {
    "classification": pb.TASK_CLASSIFICATION,
    "segmentation": pb.TASK_SEGMENTATION,
    "detection": pb.TASK_DETECTION,
    "embedding": pb.TASK_EMBEDDING,
    "regression": pb.TASK_REGRESSION,
}


@dataclass(frozen=True)
class Score:
    """The tensor y of scores.

    `output`: the source's output that shows it, and `shown`: how. `shape`: where its classes are, and how many.
    `note`: a remark for the user on what was found or guessed. `ranked_by`: probabilities that classes are ranked by,
    in the layout of the scores; None for the scores themselves.
    """

    value: ir.Value
    output: ir.Value
    task: pb.Task
    shown: OutputHead
    shape: ScoreShape
    note: str = ""
    ranked_by: ir.Value | None = None

    @property
    def name(self) -> str:
        """The tensor's name in the source."""
        return str(self.value.name)

    @property
    def kind(self) -> pb.HeadKind:
        """What the source makes of the scores."""
        return self.shown.kind

    @property
    def class_axis(self) -> int:
        """Where its classes are."""
        return self.shape.class_axis

    @property
    def num_classes(self) -> int:
        """How many classes a target may name; two for a single logit. For an embedding it is the vector's length."""
        return self.shape.num_classes

    @property
    def single_logit(self) -> bool:
        """Whether there is one score z for two classes, which counts as (-z, z)."""
        return self.shape.single_logit

    @property
    def logits(self) -> int:
        """Number of scores along the class axis."""
        return 1 if self.single_logit else self.num_classes

    def head(self) -> pb.Head:
        """Return the manifest's account of the head."""
        embedding, part = self.task == pb.TASK_EMBEDDING, self.shown.part
        return pb.Head(
            score_tensor=self.name,
            kind=self.kind,
            num_classes=0 if embedding else self.num_classes,
            embedding_size=self.num_classes if embedding else 0,
            single_logit=self.single_logit,
            output_name=str(self.output.name),
            num_anchors=self.shape.num_anchors,
            class_slice=pb.ClassSlice(axis=part.axis, start=part.start) if part is not None else None,
            output_scale=self.shown.scale if self.shown.scale != 1 else 0,
            output_is_ranked=self.shown.is_ranked,
            output_is_logarithm=self.shown.is_logarithm and self.kind != pb.HEAD_KIND_LOG_SOFTMAX,
        )


@dataclass(frozen=True)
class ScoreOptions:
    """What the user says about the score; None where it is found by itself.

    `tensor`: its name. `task`: one of `TASKS`. `head`: one of `HEADS`. `class_axis`: where the classes of a detector
    are. `num_labels`: how many labels are known, zero for none.
    """

    tensor: str | None = None
    task: str | None = None
    head: str | None = None
    class_axis: int | None = None
    num_labels: int = 0


def find_score(prepared: Prepared, options: ScoreOptions | None = None) -> Score:
    """Find the score before the first output that can be one, or take the tensor that the user named.

    Raises:
        ScoreError: there is no such tensor, or it is not a score of the task.

    """
    options = options or ScoreOptions()
    return _named(prepared, options) if options.tensor is not None else _first(prepared, options)


def _named(prepared: Prepared, options: ScoreOptions) -> Score:
    assert options.tensor is not None
    value = prepared.value(options.tensor)
    if value is None:
        raise UnknownTensorError(
            f"There is no tensor {options.tensor!r} to take as the score."
            f"{closest(options.tensor, prepared.values())} Without --score it is found automatically."
        )
    for output in prepared.graph.outputs:
        found = head_of(prepared, output)
        if value is found.value:
            return _interpret(prepared, found, output, options)
        if value is output:
            return _interpret(prepared, _as_probabilities(found, value), output, options)
        if found.kind != pb.HEAD_KIND_NONE and _same_shape(value, found.value):
            return _interpret(prepared, _as_probabilities(found, value), output, options)
    output, ranked = prepared.graph.outputs[0], None
    with contextlib.suppress(ScoreError):
        ranked = ranked_scores(prepared, output)
    if ranked is not None and ranked.value is value:
        return _interpret(prepared, ranked, output, options)
    return _interpret(prepared, OutputHead(value, is_ranked=ranked is not None), output, options)


def _as_probabilities(found: OutputHead, value: ir.Value) -> OutputHead:
    """Return how an output shows a tensor that is not the one before its head: probabilities stay what they are."""
    if found.kind == pb.HEAD_KIND_NONE or found.part is not None:
        return OutputHead(value)
    return replace(found, value=value, kind=pb.HEAD_KIND_PROBABILITY, class_axis=None, ranked_by=None, note="")


def _same_shape(value: ir.Value, other: ir.Value) -> bool:
    return value.shape is not None and other.shape is not None and dims_of(value) == dims_of(other)


def _first(prepared: Prepared, options: ScoreOptions) -> Score:
    scores, problems = [], []
    for output in prepared.graph.outputs:
        try:
            scores.append(_interpret(prepared, _shown_by(prepared, output), output, options))
        except ScoreError as error:
            problems.append(str(error))
    if not scores:
        raise ScoreError(" ".join(dict.fromkeys(problems)))
    score, others = choose_output(prepared, scores, options.num_labels)
    return replace(score, note=" ".join(filter(None, (score.note, _doubt(score), others))))


def _shown_by(prepared: Prepared, output: ir.Value) -> OutputHead:
    """Return the scores that an output shows in their own order, or holds the best of."""
    ranked = ranked_scores(prepared, output)
    return ranked if ranked is not None else head_of(prepared, output)


def _doubt(score: Score) -> str:
    if score.task != pb.TASK_DETECTION or score.kind != pb.HEAD_KIND_NONE:
        return ""
    return (
        f"No sigmoid or softmax was found before output {score.output.name!r}, so that all of its "
        f"{score.num_classes} values count as classes. If there are box coordinates among them, name the tensor of the "
        "class scores with --score."
    )


def _interpret(prepared: Prepared, shown: OutputHead, output: ir.Value, options: ScoreOptions) -> Score:
    """Read a tensor as scores of the asked task, or of the task that its shape suggests."""
    value = shown.value
    if options.head is not None:
        shown = replace(shown, kind=HEADS[options.head])
    task, note = _task(prepared, shown, output, options)
    if task in (pb.TASK_EMBEDDING, pb.TASK_REGRESSION):
        shown = OutputHead(value)
    shape = read_shape(prepared, value, task, options.class_axis or shown.class_axis)
    return Score(value, output, task, shown, shape, " ".join(filter(None, (shown.note, note))), shown.ranked_by)


def _task(prepared: Prepared, shown: OutputHead, output: ir.Value, options: ScoreOptions) -> tuple[pb.Task, str]:
    """Return the task, and a note where it had to be assumed."""
    value = shown.value
    dims = score_dims(prepared, value)
    if options.task is not None:
        return TASKS[options.task], ""
    if shown.task != pb.TASK_UNSPECIFIED:
        return shown.task, ""
    bare = shown.kind == pb.HEAD_KIND_NONE and options.head is None
    if not bare or not is_one_number(dims):
        return suggested_task(dims), ""
    quantity, reason = is_quantity([str(output.name), str(value.name)], options.num_labels)
    assumed = "a quantity (regression)" if quantity else "the logit of two classes"
    other = "the logit of two classes" if quantity else "a quantity"
    advice = "--task classification" if quantity else "--task regression"
    note = (
        f"Output {output.name!r} is one number without a sigmoid. It was taken as {assumed}, as {reason}. "
        f"If it is {other}, state {advice}."
    )
    return pb.TASK_REGRESSION if quantity else pb.TASK_CLASSIFICATION, note
