"""From the trained model's own output to the score and the probability of every class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidGraphError
from camgraph_core.types import AnyArray

Float64Array: TypeAlias = NDArray[np.float64]

_WIDTH = 1e-3  # how far from 0..1 probabilities may be: float16, and roundings of quantised ones


@dataclass(frozen=True)
class ClassValues:
    """Of all classes of one image: scores y before softmax or sigmoid, and probabilities, float64 [C].

    `winner` is the best class, if the graph was asked for it.
    """

    scores: Float64Array
    probabilities: Float64Array
    winner: int | None = None

    def best(self, count: int) -> list[int]:
        """Indices of the best classes, best first; of equal ones the lower index first, as in ONNX's TopK."""
        first = _may_be_best(self.probabilities, count)
        others = first != self.winner  # the graph tells apart what was rounded to one probability
        order = np.lexsort((-self.scores[first], others, -self.probabilities[first]))
        return [int(index) for index in first[order[:count]]]


def _may_be_best(probabilities: Float64Array, count: int) -> NDArray[np.intp]:
    """Indices of those that are not less than the last of the best: all of a thousand take long to sort."""
    if not 0 < count < probabilities.size or np.isnan(probabilities).any():
        return np.arange(probabilities.size)
    least = np.partition(probabilities, -count)[-count]
    return np.flatnonzero(probabilities >= least)


def shows_scores(head: pb.Head) -> bool:
    """Whether the output is the score itself, to which probabilities are not computed yet."""
    plain = (pb.HEAD_KIND_NONE, pb.HEAD_KIND_UNSPECIFIED)
    return head.kind in plain or (head.output_name == head.score_tensor and head.kind != pb.HEAD_KIND_PROBABILITY)


def shown_probabilities(output: AnyArray, head: pb.Head) -> AnyArray:
    """The probabilities that an output of any shape shows; of a single logit those of class 1.

    Raises:
        InvalidGraphError: They lie outside 0..1.

    """
    values = _unscaled(output, head)
    probabilities: AnyArray = np.exp(values) if _is_logarithmic(head) else values
    lowest, highest = probabilities.min(initial=0), probabilities.max(initial=1)
    if lowest < -_WIDTH or highest > 1 + _WIDTH:
        raise InvalidGraphError(
            f"The output {head.output_name!r} should show probabilities in 0..1, but has {lowest:g} to {highest:g}. "
            "Export the model again, and say with --score and --head what its scores are."
        )
    return probabilities


def sigmoid(scores: AnyArray) -> AnyArray:
    """1 / (1 + exp(-y)) of scores of any shape, in their element type; no score is too large for it."""
    probabilities: AnyArray = np.exp(-np.logaddexp(0.0, -scores))
    return probabilities


def softmax(scores: AnyArray, axis: int) -> AnyArray:
    """exp(y) over its sum along an axis, in the element type of the scores."""
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    probabilities: AnyArray = powers / powers.sum(axis=axis, keepdims=True)
    return probabilities


def log_odds(probabilities: AnyArray) -> AnyArray:
    """The scores before a sigmoid; infinite where a probability was rounded to 0 or 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        odds: AnyArray = np.log(probabilities) - np.log1p(-probabilities)
    return odds


def read_head(output: AnyArray, head: pb.Head, known: dict[int, float], winner: int | None = None) -> ClassValues:
    """Scores and probabilities from one image's output of the trained model.

    An output that is the score itself is read as softmax, or as sigmoid if the head says so or has a single
    logit. Otherwise the output has the probabilities, which are taken as they are, and the scores are computed
    from these: a softmax hides a constant, which the score of the likeliest known class restores. A score is
    infinite where a probability underflowed to 0 (or a sigmoid's was rounded to 1), and not a number where that
    leaves no class to restore the constant from, or where the head is none of these; scores of known classes are
    always exact.

    Args:
        output: The head's output for one image; its elements are the classes. Of a single logit they are class 1
            alone, or both classes.
        head: The manifest's head.
        known: Class index to score y, as the graph gave them for its targets; at least one.
        winner: The best class, if the graph was asked for it.

    Raises:
        InvalidGraphError: The output has another number of classes than the manifest says.

    """
    values = output.astype(np.float64).ravel()
    if values.size != head.num_classes and not (head.single_logit and values.size == 1):
        raise InvalidGraphError(
            f"The output {head.output_name!r} has {values.size} values per image, but the manifest says "
            f"{1 if head.single_logit else head.num_classes} classes. Export the model again."
        )
    if shows_scores(head):
        return _from_scores(values, head)
    probabilities = shown_probabilities(values, head)
    if values.size == 1:
        probabilities = np.concatenate([1 - probabilities, probabilities])
    scores = _with_known(_scores_shown_by(values, probabilities, head, known), known)
    return ClassValues(scores, probabilities, winner)


def _is_logarithmic(head: pb.Head) -> bool:
    return head.output_is_logarithm or head.kind == pb.HEAD_KIND_LOG_SOFTMAX


def _unscaled(output: AnyArray, head: pb.Head) -> AnyArray:
    values: AnyArray = output / (head.output_scale or 1.0)
    return values


def _from_scores(scores: Float64Array, head: pb.Head) -> ClassValues:
    if head.single_logit:
        scores = np.concatenate([-scores, scores])
    if head.single_logit or head.kind == pb.HEAD_KIND_SIGMOID:
        return ClassValues(scores, sigmoid(scores))
    return ClassValues(scores, softmax(scores, axis=0))


def _scores_shown_by(
    values: Float64Array, probabilities: Float64Array, head: pb.Head, known: dict[int, float]
) -> Float64Array:
    """Work the scores out of what an output shows; not a number where nothing says how."""
    if head.kind == pb.HEAD_KIND_SIGMOID:
        scores = log_odds(probabilities)
        # The odds of class 0 are those of class 1 turned over, and more exact where one of the two was rounded.
        return np.array([-scores[1], scores[1]]) if values.size == 1 else scores
    if head.kind == pb.HEAD_KIND_PROBABILITY:
        if head.output_name != head.score_tensor:
            return np.full(probabilities.shape, np.nan)
        return np.concatenate([-values, values]) if values.size == 1 else values
    with np.errstate(divide="ignore"):
        logs = _unscaled(values, head) if _is_logarithmic(head) else np.log(probabilities)
    likeliest = max(known, key=lambda index: float(logs[index]))
    constant = known[likeliest] - logs[likeliest] if np.isfinite(logs[likeliest]) else np.nan
    scores_of_all: Float64Array = logs + constant
    return scores_of_all


def _with_known(scores: Float64Array, known: dict[int, float]) -> Float64Array:
    scores = scores.copy()
    for index, score in known.items():
        scores[index] = score
    return scores
