"""Detection: a target is a class and a candidate box, before non-maximum suppression."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import TargetError
from camgraph_core.place import Box
from camgraph_core.result import ClassScore
from camgraph_core.target import Target
from camgraph_core.types import AnyArray
from camgraph_runtime.tasks.head_scores import log_odds, shown_probabilities, shows_scores
from camgraph_runtime.tasks.labels import target_code
from camgraph_runtime.tasks.slots import CLASS_INPUT, TargetInput, TargetSlot
from camgraph_runtime.tasks.task import CLASS, Outputs, Predictions, Task, register

_SOFTMAX = (pb.HEAD_KIND_SOFTMAX, pb.HEAD_KIND_LOG_SOFTMAX)
_BEST = Box(rank=1)


def _anchor_of(slot: TargetSlot) -> int:
    """Box ``a`` as ``a``, the class's r-th best as ``-r``."""
    box = slot.place if isinstance(slot.place, Box) else _BEST
    return box.index if box.index is not None else -(box.rank or 1)


@register
class Detection(Task):
    """Classes of the boxes of an image."""

    kinds = (pb.TASK_DETECTION,)
    takes = (*CLASS, Box)
    inputs = (CLASS_INPUT, TargetInput("anchor_input", np.int64, _anchor_of))
    outputs = ("target_index_output", "anchor_index_output", "target_score_output")

    def checked_slot(self, target: Target) -> TargetSlot:
        """The class and its box; without one the class's best."""
        box = target.place if isinstance(target.place, Box) else _BEST
        boxes = self.manifest.head.num_anchors  # zero where it depends on the image
        if boxes and box.index is not None and box.index >= boxes:
            raise TargetError(
                f"There is no box {box.index}: the model has {boxes} boxes, with the indices 0 to {boxes - 1}."
            )
        if boxes and box.rank is not None and box.rank > boxes:
            raise TargetError(f"There is no box of rank {box.rank}: the model has {boxes} boxes.")
        return TargetSlot(target_code(target, self.manifest), box)

    def predictions(self, _: Sequence[TargetSlot], outputs: Outputs) -> Predictions:
        """The best boxes, each with its best class."""
        return BoxPredictions(self, outputs)


class BoxPredictions:
    """Class scores of the boxes of an image."""

    def __init__(self, task: Task, outputs: Outputs) -> None:
        self._task, manifest = task, task.manifest
        tensors = manifest.target
        self._indices = outputs[tensors.target_index_output]
        self._anchors = outputs[tensors.anchor_index_output]
        self._scores = outputs[tensors.target_score_output]
        output = task.head_output(outputs)
        ranked = manifest.head.output_is_ranked
        self._values = None if ranked else read_boxes(output, manifest.head, self._known())
        self.warnings = [] if self._values else [task.unlisted(output, "a score for each box and class")]

    def best(self, count: int) -> list[ClassScore]:
        """The boxes with the best scores, each with its best class."""
        if self._values is None:
            return []
        order = self._values.order
        classes, scores = order.argmax(axis=1), order.max(axis=1)
        boxes = np.argsort(-scores, kind="stable")[:count]
        return [self._class_score(int(classes[box]), int(box)) for box in boxes]

    def of_slot(self, number: int) -> ClassScore:
        """The class and box of a slot."""
        return self._class_score(int(self._indices[number]), int(self._anchors[number]))

    def _known(self) -> dict[tuple[int, int], float]:
        pairs = zip(self._anchors, self._indices, self._scores, strict=True)
        return {(int(anchor), int(index)): float(score) for anchor, index, score in pairs}

    def _class_score(self, index: int, anchor: int) -> ClassScore:
        values = self._values
        score = self._known().get((anchor, index), math.nan)
        if math.isnan(score) and values is not None and values.scores is not None:
            score = float(values.scores[anchor, index])
        probability = math.nan
        if values is not None and values.probabilities is not None:
            probability = float(values.probabilities[anchor, index])
        elif self._task.manifest.head.kind == pb.HEAD_KIND_SIGMOID:
            probability = float(np.exp(-np.logaddexp(0.0, -score)))
        return ClassScore(index, self._task.label_of(index), score, probability, anchor=anchor)


@dataclass(frozen=True, eq=False)
class BoxValues:
    """Of all boxes and classes of one image, float64 [boxes, C].

    Attributes:
        scores: y before softmax or sigmoid; None where the output hides it.
        probabilities: By the head; None where the scores come without softmax or sigmoid.

    """

    scores: AnyArray | None
    probabilities: AnyArray | None

    @property
    def order(self) -> AnyArray:
        """What boxes are ranked by."""
        values = self.scores if self.scores is not None else self.probabilities
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
        return BoxValues(values, _probabilities(values, head))
    probabilities = shown_probabilities(values, head)
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
        sigmoid: AnyArray = np.exp(-np.logaddexp(0.0, -scores))
        return sigmoid
    if head.kind in _SOFTMAX:
        powers: AnyArray = np.exp(scores - scores.max(axis=1, keepdims=True))
        softmax: AnyArray = powers / powers.sum(axis=1, keepdims=True)
        return softmax
    return None
