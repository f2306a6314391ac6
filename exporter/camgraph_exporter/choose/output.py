"""Chooses the output to explain where a model has several: one that a head or a name marks as scores, not features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.graph.dims import dims_of, known_dims, text_of
from camgraph_exporter.graph.traits import Trait, has, of
from camgraph_exporter.graph.walk import needed_for
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.quantised.forms import maker
from camgraph_exporter.score.columns import SIDES
from camgraph_exporter.score.one_number import words_of
from camgraph_exporter.tasks import Score

_OF_SCORES = {
    "logit", "logits", "score", "scores", "prob", "probs", "probability", "probabilities", "pred", "preds",
    "prediction", "predictions", "class", "classes", "cls", "classification", "label", "labels", "softmax", "sigmoid",
}  # fmt: skip  # a table, in rows of its own
_OF_OTHERS = {
    "aux", "auxiliary", "feature", "features", "feat", "feats", "embedding", "embeddings", "embed", "emb", "hidden",
    "pooled", "pooler", "representation", "latent", "descriptor", "attention", "attentions", "state", "states", "box",
    "boxes", "bbox", "bboxes", "loc", "locations", "landmarks", "keypoints",
}  # fmt: skip  # a table, in rows of its own
_SAME_ELEMENTS = Trait.COPIES | Trait.RESHAPES | Trait.PERMUTES


@dataclass(frozen=True)
class _Mark:
    """How likely an output holds scores, and the reason, as part of a sentence."""

    points: int
    reason: str


def choose_output(prepared: PreparedModel, scores: Sequence[Score], num_labels: int) -> tuple[Score, str]:
    """Return the most likely of the scores that the outputs show, and a note that names the others."""
    before = {score.output: needed_for(prepared.graph, [score.value]) - {score.value} for score in scores}
    marks = [_mark(prepared, score, scores, before, num_labels) for score in scores]
    most = max(mark.points for mark in marks)
    first = next(score for score, mark in zip(scores, marks, strict=True) if mark.points == most)
    equal = [score for score, mark in zip(scores, marks, strict=True) if mark.points == most and _alike(score, first)]
    # Of two heads of the same classes, the auxiliary one has fewer layers before it.
    best = max(equal, key=lambda score: _layers(before[score.output]))
    others = [score for score in scores if score.value is not best.value]
    if not others:
        return best, ""
    reason = marks[scores.index(best)].reason
    if not reason:
        lower = any(mark.points < most for mark in marks)
        reason = "the others look like features or boxes" if lower else "it comes first"
        reason = "it has the most layers before it" if best is not first else reason
    named = ", ".join(f"{score.output.name!r} {text_of(known_dims(score.output))}" for score in others)
    return best, (
        f"Of the model's outputs, {best.output.name!r} is explained, as {reason}. "
        f"{'Another is' if len(others) == 1 else 'Others are'} {named}. State which one with --score."
    )


def _mark(
    prepared: PreparedModel,
    score: Score,
    scores: Sequence[Score],
    before: dict[ir.Value, set[ir.Value]],
    num_labels: int,
) -> _Mark:
    words = set(words_of(str(score.output.name)))
    points = 0
    reasons: list[str] = []
    if num_labels and score.num_classes == num_labels and score.task.has_classes:
        points, reasons = points + 4, [*reasons, "it has as many classes as there are labels"]
    if words & _OF_SCORES:
        points, reasons = points + 2, [*reasons, f"its name speaks of {min(words & _OF_SCORES)!r}"]
    if score.kind != pb.HEAD_KIND_NONE or score.shown.is_ranked:
        points, reasons = points + 2, [*reasons, "it holds probabilities"]
    if words & _OF_OTHERS:
        points -= 3
    # Features feed another layer. Scores stay scores where only a map is drawn from them.
    later = [other for other in scores if other.value is not score.value and score.output in before[other.output]]
    if any(_layers(before[other.output]) > _layers(before[score.output] | {score.output}) for other in later):
        points -= 3
    if _has_boxes_only(score, scores):
        points -= 1
    if _has_unit_length(prepared, score.output):
        points -= 2
    if score.kind == pb.HEAD_KIND_NONE and _is_made_of_features(score.value):
        points -= 1
    return _Mark(points, " and ".join(reasons))


def _layers(values: set[ir.Value]) -> int:
    nodes = {node for value in values if (node := value.producer()) is not None}
    return sum(has(node, Trait.PRODUCT) for node in nodes)


def _has_boxes_only(score: Score, scores: Sequence[Score]) -> bool:
    """Tell whether an output has four numbers for each candidate of a detector, and another one has more or fewer."""
    dims = dims_of(score.value)
    if not score.task.has_boxes or score.shown.part is not None or dims[score.class_axis] != SIDES:
        return False
    candidates = dims[3 - score.class_axis]
    others = [dims_of(other.value) for other in scores if other.task.has_boxes and other.value is not score.value]
    return any(candidates in other[1:] and other[1:].count(SIDES) == 0 for other in others)


def _alike(score: Score, other: Score) -> bool:
    return score.task is other.task and score.num_classes == other.num_classes


def _has_unit_length(prepared: PreparedModel, output: ir.Value) -> bool:
    """Tell whether a row of several numbers always has the length 1, as an embedding that was normalised."""
    sample = prepared.probe.outputs.get(str(output.name))
    if sample is None or sample.ndim != 2 or sample.shape[1] < 2 or sample.dtype.kind != "f":
        return False
    return bool(np.abs(np.linalg.norm(sample.astype(np.float64), axis=1) - 1).max(initial=0) < 1e-3)


def _is_made_of_features(value: ir.Value) -> bool:
    """Tell whether a value is one of features by the operator that made it: rectified, pooled or normalised."""
    node = maker(value)
    while node is not None and has(node, _SAME_ELEMENTS) and node.inputs[0] is not None:
        node = maker(node.inputs[0])
    if node is None:
        return False
    made = of(node)
    if made.traits & Trait.ACTIVATION:
        # A sigmoid or a tanh has numbers of a known range, as an output has.
        return made.bounds is None or made.bounds[1] == math.inf
    if made.traits & (Trait.POOLS | Trait.REDUCES):
        return bool(made.traits & Trait.KEEPS_RANGE)
    return bool(made.traits & Trait.NORMALISES) and not made.traits & Trait.AFFINE
