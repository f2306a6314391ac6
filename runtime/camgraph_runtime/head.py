"""From the trained model's own output to the score and the probability of every class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from camgraph.v1 import manifest_pb2 as pb
from camgraph_runtime.errors import InvalidGraphError
from camgraph_runtime.types import AnyArray

Float64Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class ClassValues:
    """Of all classes of one image: scores y before softmax or sigmoid, and probabilities, float64 [C]."""

    scores: Float64Array
    probabilities: Float64Array

    def best(self, count: int) -> list[int]:
        """Indices of the best classes, best first; of equal ones the lower index first, as in ONNX's TopK."""
        order = np.lexsort((-self.scores, -self.probabilities))
        return [int(index) for index in order[:count]]


def read_head(output: AnyArray, head: pb.Head, known: dict[int, float]) -> ClassValues:
    """Scores and probabilities from one image's output of the trained model.

    An output that is the score itself is read as softmax, or as sigmoid if the head says so or has a single
    logit. Otherwise the output has the probabilities, and the scores are worked out backwards: a softmax
    hides a constant, which the score of the likeliest known class restores. A score is infinite where a
    probability underflowed to 0 (or a sigmoid's was rounded to 1), and not a number where that leaves no
    class to restore the constant from; scores of known classes are always exact.

    Args:
        output: The head's output for one image; its elements are the classes.
        head: The manifest's head.
        known: Class index to score y, as the graph gave them for its targets; at least one.

    Raises:
        InvalidGraphError: The output has another number of classes than the manifest says.

    """
    values = output.astype(np.float64).ravel()
    expected = 1 if head.single_logit else head.num_classes
    if values.size != expected:
        raise InvalidGraphError(
            f"The output {head.output_name!r} has {values.size} values an image, but the manifest speaks of "
            f"{expected} classes. Export the model again."
        )
    if _is_score(head):
        return _from_scores(values, head)
    if head.kind == pb.HEAD_KIND_SIGMOID:
        return _from_sigmoid(values, head, known)
    return _from_softmax(values, head, known)


def _is_score(head: pb.Head) -> bool:
    plain = (pb.HEAD_KIND_NONE, pb.HEAD_KIND_UNSPECIFIED)
    return head.kind in plain or head.output_name == head.score_tensor


def _from_scores(scores: Float64Array, head: pb.Head) -> ClassValues:
    if head.single_logit:
        scores = np.concatenate([-scores, scores])
    if head.single_logit or head.kind == pb.HEAD_KIND_SIGMOID:
        return ClassValues(scores, np.exp(-np.logaddexp(0.0, -scores)))
    powers = np.exp(scores - scores.max())
    return ClassValues(scores, powers / powers.sum())


def _from_sigmoid(values: Float64Array, head: pb.Head, known: dict[int, float]) -> ClassValues:
    with np.errstate(divide="ignore"):
        scores = np.log(values) - np.log1p(-values)
    if head.single_logit:
        scores, values = np.concatenate([-scores, scores]), np.concatenate([1 - values, values])
    return ClassValues(_with_known(scores, known), values)


def _from_softmax(values: Float64Array, head: pb.Head, known: dict[int, float]) -> ClassValues:
    logarithmic = head.kind == pb.HEAD_KIND_LOG_SOFTMAX
    with np.errstate(divide="ignore"):
        logs = values if logarithmic else np.log(values)
    likeliest = max(known, key=lambda index: float(logs[index]))
    constant = known[likeliest] - logs[likeliest] if np.isfinite(logs[likeliest]) else np.nan
    return ClassValues(_with_known(logs + constant, known), np.exp(values) if logarithmic else values)


def _with_known(scores: Float64Array, known: dict[int, float]) -> Float64Array:
    for index, score in known.items():
        scores[index] = score
    return scores
