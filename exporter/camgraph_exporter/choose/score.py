"""Finds the score, the tensor before a softmax, log-softmax or sigmoid at the end, and its task."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import Annotated

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.settings import Setting, check_settings
from camgraph_exporter.boxes.options import BoxOptions
from camgraph_exporter.choose.output import choose_output
from camgraph_exporter.errors import ScoreError, UnknownTensorError, closest
from camgraph_exporter.graph.dims import dims_of, shape_text
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.score.columns import CLASSES, columns_of, stated_columns
from camgraph_exporter.score.likely import hint_on_scores
from camgraph_exporter.score.one_number import number_per_pixel, one_number
from camgraph_exporter.score.output_head import OutputHead, no_head
from camgraph_exporter.score.per_pixel import has_one_per_pixel, is_rectified
from camgraph_exporter.score.ranking import ranked_scores
from camgraph_exporter.score.recognise import head_of
from camgraph_exporter.score.rows import head_of_rows
from camgraph_exporter.score.scales import undecoded_heads
from camgraph_exporter.score.score_shape import score_dims
from camgraph_exporter.tasks import TASKS, Evidence, Score, Task, task_claiming, task_named

HEADS = {
    "softmax": pb.HEAD_KIND_SOFTMAX,
    "log-softmax": pb.HEAD_KIND_LOG_SOFTMAX,
    "sigmoid": pb.HEAD_KIND_SIGMOID,
    "probability": pb.HEAD_KIND_PROBABILITY,
    "none": pb.HEAD_KIND_NONE,
}


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(BoxOptions):
    """What the user says about the score; None where it is found automatically.

    Raises:
        UsageError: there is no such task or head, or no such axis.

    """

    score: Annotated[
        str | None, Setting("Tensor of the scores before softmax. Default: found by itself.", metavar="TENSOR")
    ] = None
    task: Annotated[
        str | None,
        Setting(
            "Task, if it cannot be inferred from the shape of the score.", choices=tuple(task.name for task in TASKS)
        ),
    ] = None
    head: Annotated[str | None, Setting("What the model applies to the scores.", choices=tuple(HEADS))] = None
    class_axis: Annotated[
        int | None, Setting("Axis of the classes in the scores of a detector.", at_least=1, at_most=3)
    ] = None

    def __post_init__(self) -> None:
        check_settings(self)


def find_score(prepared: PreparedModel, options: ScoreOptions | None = None, *, num_labels: int = 0) -> Score:
    """Find the score before the first output that can be one, or take the tensor that the user named.

    `num_labels`: how many class labels are known, zero for none.

    Raises:
        ScoreError: there is no such tensor, or it is not a score of the task.

    """
    options = options or ScoreOptions()
    search = _Search(options, num_labels)
    score = _named(prepared, search) if options.score is not None else _first(prepared, search)
    return score.task.complete(prepared, score, options)


@dataclass(frozen=True)
class _Search:
    """What is known of the score before it is found."""

    options: ScoreOptions
    num_labels: int


def _named(prepared: PreparedModel, search: _Search) -> Score:
    name = search.options.score
    assert name is not None
    value = prepared.value(name)
    if value is None:
        raise UnknownTensorError(
            f"There is no tensor {name!r} to take as the score."
            f"{closest(name, prepared.values())} Without --score it is found automatically."
        )
    if search.options.columns is not None:
        output = value if value.is_graph_output() else prepared.graph.outputs[0]
        return _interpret(prepared, _of_stated_columns(prepared, value, search.options), output, search)
    for output in prepared.graph.outputs:
        found = head_of(prepared, output)
        if value is found.value:
            return _interpret(prepared, found, output, search)
        if value is output:
            return _interpret(prepared, _as_probabilities(found, value), output, search)
        if found.kind != pb.HEAD_KIND_NONE and _same_shape(value, found.value):
            return _interpret(prepared, _as_probabilities(found, value), output, search)
    output, ranked = prepared.graph.outputs[0], None
    # The user named the tensor, so an output that does not tell what it was chosen from refuses nobody.
    with contextlib.suppress(ScoreError):
        ranked = ranked_scores(prepared, output)
    if ranked is not None and ranked.value is value:
        return _interpret(prepared, ranked, output, search)
    return _interpret(prepared, OutputHead(value, is_ranked=ranked is not None), output, search)


def _as_probabilities(found: OutputHead, value: ir.Value) -> OutputHead:
    """Return how an output shows a tensor other than the one before its head: probabilities stay probabilities."""
    if found.kind == pb.HEAD_KIND_NONE or found.part is not None:
        return OutputHead(value)
    return replace(found, value=value, kind=pb.HEAD_KIND_PROBABILITY, class_axis=None, ranked_by=None, note="")


def _same_shape(value: ir.Value, other: ir.Value) -> bool:
    return value.shape is not None and other.shape is not None and dims_of(value) == dims_of(other)


def _first(prepared: PreparedModel, search: _Search) -> Score:
    scores, problems = [], []
    for output in prepared.graph.outputs:
        try:
            scores.append(_interpret(prepared, _shown_by(prepared, output, search), output, search))
        except ScoreError as error:
            problems.append(str(error))
    heads, said_of_heads = undecoded_heads(prepared)
    if not scores:
        raise ScoreError(said_of_heads or hint_on_scores(prepared) or " ".join(dict.fromkeys(problems)))
    score, others = choose_output(prepared, scores, search.num_labels)
    notes = (score.note, score.task.doubt(prepared, score), others, said_of_heads if score.output in heads else "")
    return replace(score, note=" ".join(filter(None, notes)))


def _shown_by(prepared: PreparedModel, output: ir.Value, search: _Search) -> OutputHead:
    """Return the scores that an output shows in their own order, or holds the best of."""
    options = search.options
    if options.task is not None and not task_named(options.task).has_head:
        return no_head(output)
    if options.columns is not None:
        return _of_stated_columns(prepared, output, options)
    ranked = ranked_scores(prepared, output)
    if ranked is not None:
        return ranked
    found = head_of(prepared, output)
    may_have_boxes = options.task is None or task_named(options.task).has_boxes
    columns = columns_of(prepared, output, search.num_labels) if may_have_boxes else None
    if columns is None:
        return found
    if columns.objectness is None and found.part is not None and found.part.start == columns.start:
        return replace(found, note=" ".join(filter(None, (found.note, columns.note))))
    return head_of_rows(prepared, output, columns)


def _of_stated_columns(prepared: PreparedModel, value: ir.Value, options: ScoreOptions) -> OutputHead:
    """Return the scores of a tensor whose numbers of each candidate the user states.

    Raises:
        ScoreError: the tensor has not so many.

    """
    stated = options.columns
    assert stated is not None
    if stated == CLASSES:
        found = head_of(prepared, value)
        return found if found.part is None else no_head(value)
    columns = stated_columns(prepared, value, stated, options.class_axis)
    if columns is not None:
        return head_of_rows(prepared, value, columns)
    shape = shape_text(value)
    least = len(stated.split(",")) + 3
    raise ScoreError(
        f"Tensor {value.name!r} has the shape {shape}, not {least} numbers or more for each candidate, as --columns "
        f"{stated} says. Name the tensor that has them with --score."
    )


def _interpret(prepared: PreparedModel, shown: OutputHead, output: ir.Value, search: _Search) -> Score:
    """Read a tensor as scores of the task that the user states, or of the task that claims it."""
    value = shown.value
    if search.options.head is not None:
        shown = replace(shown, kind=HEADS[search.options.head])
    task, note = _task(prepared, shown, output, search)
    if not task.has_head:
        shown = OutputHead(value, note=shown.note)
    shape = task.read(prepared, value, search.options.class_axis or shown.class_axis)
    return Score(value, output, task, shown, shape, " ".join(filter(None, (shown.note, note))), shown.ranked_by)


def _task(prepared: PreparedModel, shown: OutputHead, output: ir.Value, search: _Search) -> tuple[Task, str]:
    """Return the task, and a note where it had to be assumed."""
    dims = score_dims(prepared, shown.value)
    if search.options.task is not None:
        return task_named(search.options.task), ""
    is_bare = shown.kind == pb.HEAD_KIND_NONE and search.options.head is None and shown.sorted_from is None
    names = str(output.name), str(shown.value.name)
    number = per_pixel = None
    if is_bare and all(dim == 1 for dim in dims[1:]):
        number = one_number(*names, search.num_labels)
    elif is_bare and has_one_per_pixel(prepared, shown.value):
        per_pixel = number_per_pixel(*names, is_rectified=is_rectified(shown.value))
    return task_claiming(Evidence(shown, dims, number, per_pixel))
