"""From the output of a detector to the score and probability of every box and class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.types import AnyArray
from camgraph_runtime.tasks.head_scores import log_odds, shown_probabilities, shows_scores, sigmoid, softmax

_SOFTMAX = (pb.HEAD_KIND_SOFTMAX, pb.HEAD_KIND_LOG_SOFTMAX)


@dataclass(frozen=True, eq=False)
class BoxValues:
    """Of all boxes and classes of one image, float64 [boxes, C].

    Attributes:
        scores: y before softmax or sigmoid; None where the output hides it.
        probabilities: By the head; None where the scores come without softmax or sigmoid.
        is_softmax: Whether the probabilities are those of a softmax.

    """

    scores: AnyArray | None
    probabilities: AnyArray | None
    is_softmax: bool = False

    @property
    def order(self) -> AnyArray:
        """What boxes are ranked by: of a softmax the probabilities, whose scores do not compare between boxes."""
        values = self.scores if self.scores is not None and not self.is_softmax else self.probabilities
        assert values is not None
        return values


def read_boxes(output: AnyArray, head: pb.Head, known: dict[tuple[int, int], float]) -> BoxValues | None:
    """Scores and probabilities from one image's output of a detector; None if it is of another shape.

    Args:
        output: The head's output for one image, [boxes, C] or [C, boxes]; it may hold more than the C classes.
        head: The manifest's head.
        known: (box, class) to score y; they tell the two orders apart where both fit.

    """
    if head.HasField("class_slice"):
        output = _classes(output, head)
    values = _boxes_first(output, head)
    if values is None:
        return None
    if output.ndim == 2 and output.shape[0] == output.shape[1] and head.output_name == head.score_tensor:
        values = min(values, values.T, key=lambda order: _distance(order, known))
    if shows_scores(head):
        return BoxValues(values, _probabilities(values, head), head.kind in _SOFTMAX)
    return _of_probabilities(shown_probabilities(values, head), head)


def listed_boxes(listed: AnyArray, head: pb.Head) -> BoxValues:
    """Scores and probabilities from the graph's own list of one image, [boxes, C]."""
    values = listed.astype(np.float64)
    return BoxValues(values, None) if head.kind == pb.HEAD_KIND_NONE else _of_probabilities(values, head)


def _of_probabilities(probabilities: AnyArray, head: pb.Head) -> BoxValues:
    return BoxValues(log_odds(probabilities) if head.kind == pb.HEAD_KIND_SIGMOID else None, probabilities)


def _classes(output: AnyArray, head: pb.Head) -> AnyArray:
    """Leave out what an output of one image holds beside the classes."""
    axis, start = head.class_slice.axis - 1, head.class_slice.start
    part: AnyArray = output[(slice(None),) * axis + (slice(start, start + head.num_classes),)]
    return part


def _boxes_first(output: AnyArray, head: pb.Head) -> AnyArray | None:
    flat = output if output.ndim == 2 else output.squeeze()
    if flat.ndim != 2 or flat.dtype.kind != "f":
        return None
    boxes, classes = head.num_anchors, head.num_classes
    if flat.shape[1] == classes and boxes in (0, flat.shape[0]):
        return flat.astype(np.float64)
    if flat.shape[0] == classes and boxes in (0, flat.shape[1]):
        return flat.T.astype(np.float64)
    return None


def _distance(order: AnyArray, known: dict[tuple[int, int], float]) -> float:
    return sum(abs(float(order[place]) - score) for place, score in known.items())


def _probabilities(scores: AnyArray, head: pb.Head) -> AnyArray | None:
    if head.kind == pb.HEAD_KIND_SIGMOID:
        return sigmoid(scores)
    return softmax(scores, axis=1) if head.kind in _SOFTMAX else None
