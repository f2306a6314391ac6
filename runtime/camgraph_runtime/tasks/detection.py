"""Detection: a target is a class and a box: a candidate before non-maximum suppression, or an object after it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import NotInImageError, TargetError, UnsupportedError
from camgraph_core.place import Box, DetectedObject, Point
from camgraph_core.rectangle import Rectangle
from camgraph_core.result import ClassScore
from camgraph_core.target import Rank, Target
from camgraph_core.types import AnyArray
from camgraph_runtime.tasks.box_values import BoxValues, listed_boxes, read_boxes
from camgraph_runtime.tasks.head_scores import log_odds, sigmoid
from camgraph_runtime.tasks.labels import target_code
from camgraph_runtime.tasks.objects import Found, find_objects
from camgraph_runtime.tasks.slots import CLASS_INPUT, TargetInput, TargetSlot
from camgraph_runtime.tasks.task import CLASS, Outputs, Predictions, Task, View, register

_BEST = Box(rank=1)


def _anchor_of(slot: TargetSlot) -> int:
    """Box ``a`` as ``a``, the class's r-th best as ``-r``."""
    if not isinstance(slot.place, Box):
        raise ValueError("a detection runs with candidate boxes: fit the plan first")
    return slot.place.index if slot.place.index is not None else -(slot.place.rank or 1)


@register
class Detection(Task):
    """Objects in an image."""

    kinds = (pb.TASK_DETECTION,)
    takes = (*CLASS, Box, DetectedObject, Point)
    found_by_run = (DetectedObject, Point)
    inputs = (CLASS_INPUT, TargetInput("anchor_input", np.int64, _anchor_of))
    outputs = ("target_index_output", "anchor_index_output", "target_score_output")

    @property
    def has_boxes(self) -> bool:
        """Whether the graph says where its boxes are."""
        return bool(self.manifest.boxes.output)

    def prediction_outputs(self) -> list[str]:
        """Names of the outputs that predictions need."""
        boxes = self.manifest.boxes
        return [*super().prediction_outputs(), *filter(None, (boxes.output, boxes.scores_output))]

    def prediction_slot(self) -> TargetSlot:
        """The best box of the best class."""
        return TargetSlot(-1, _BEST)

    def checked_slot(self, target: Target) -> TargetSlot:
        """The class and its box; without one the class's best."""
        if isinstance(target.place, self.found_by_run):
            if not self.has_boxes:
                raise UnsupportedError(
                    "The target names an object, but the graph does not say where its boxes are. Export the model "
                    "again with --boxes, or name a candidate box as an anchor."
                )
            return TargetSlot(target_code(target, self.manifest), target.place)
        box = target.place if isinstance(target.place, Box) else _BEST
        boxes = self.manifest.head.num_anchors  # zero where it depends on the image
        if boxes and box.index is not None and box.index >= boxes:
            raise TargetError(
                f"There is no box {box.index}: the model has {boxes} boxes, with the indices 0 to {boxes - 1}."
            )
        if boxes and box.rank is not None and box.rank > boxes:
            raise TargetError(f"There is no box of rank {box.rank}: the model has {boxes} boxes.")
        return TargetSlot(target_code(target, self.manifest), box)

    def best_targets(self, count: int) -> list[Target]:
        """The best objects as targets, or the best classes where the graph does not say where its boxes are."""
        if not self.has_boxes:
            return super().best_targets(count)
        if not 0 <= count <= (self.manifest.head.num_anchors or math.inf):
            raise TargetError(f"top_k is {count}, but the model has {self.manifest.head.num_anchors} boxes.")
        return [Target(place=DetectedObject(rank)) for rank in range(1, count + 1)]

    def found(self, target: Target, outputs: Outputs, view: View) -> Target:
        """The target with the candidate box of its object."""
        found = BoxPredictions(self, outputs, view).object_of(target)
        return replace(target, selector=found.class_index, place=Box(found.anchor))

    def predictions(self, _: Sequence[TargetSlot], outputs: Outputs, view: View) -> Predictions:
        """The best objects, each with its best class."""
        return BoxPredictions(self, outputs, view)


class BoxPredictions(Predictions):
    """Class scores of the boxes of an image."""

    def __init__(self, task: Detection, outputs: Outputs, view: View) -> None:
        self._task, self._view, manifest = task, view, task.manifest
        tensors, boxes = manifest.target, manifest.boxes
        self._indices = outputs[tensors.target_index_output]
        self._anchors = outputs[tensors.anchor_index_output]
        self._scores = outputs[tensors.target_score_output]
        self._boxes = outputs[boxes.output] if boxes.output else None
        output = task.head_output(outputs)
        if boxes.scores_output:
            self._values: BoxValues | None = listed_boxes(outputs[boxes.scores_output], manifest.head)
        elif manifest.head.output_is_ranked:
            self._values = None
        else:
            self._values = read_boxes(output, manifest.head, self._known())
        self.warnings = [] if self._values else [task.unlisted(output, "a score for each box and class")]

    def best(self, count: int) -> list[ClassScore]:
        """The best objects, each with its best class; where no box is known the boxes with the best scores."""
        if self._values is None:
            return []
        if self._boxes is None:
            order = self._order()
            best = np.argsort(-order.max(axis=1), kind="stable")[:count]
            return [self._class_score(int(order[box].argmax()), int(box)) for box in best]
        objects = self._objects(self._order())
        if not objects:
            self.warnings = [self._nothing_found()]
        return [self._class_score(found.class_index, found.anchor) for found in objects[:count]]

    def of_slot(self, number: int) -> ClassScore:
        """The class and box of a slot."""
        return self._class_score(int(self._indices[number]), int(self._anchors[number]))

    def object_of(self, target: Target) -> Found:
        """The object that a target names.

        Raises:
            NotInImageError: There is none.

        """
        order, of_class = self._order(), ""
        if order is not None and target.selector is not None:
            index = self._class_of(target, order)
            of_class = f" of class {self._task.label_of(index) or index}"
            order = np.where(np.arange(order.shape[1]) == index, order, -np.inf)
        objects = self._objects(order)
        if isinstance(target.place, Point):
            return self._at(target.place, objects, of_class)
        assert isinstance(target.place, DetectedObject)
        if target.place.rank <= len(objects):
            return objects[target.place.rank - 1]
        raise NotInImageError(
            f"There is no object {target.place.rank}{of_class}: {len(objects)} have a probability of "
            f"{self._view.score_threshold:g} or more. Lower the score threshold, or name a candidate box as an anchor."
        )

    def _at(self, point: Point, objects: Sequence[Found], of_class: str) -> Found:
        around = [found for found in objects if self._rectangle(found.anchor).holds(point.x, point.y)]
        if around:
            return min(around, key=lambda found: self._rectangle(found.anchor).area)
        raise NotInImageError(
            f"No object{of_class} lies at {point.x:g}, {point.y:g}: {len(objects)} have a probability of "
            f"{self._view.score_threshold:g} or more, and none of their boxes holds that point."
        )

    def _class_of(self, target: Target, order: AnyArray) -> int:
        code = target_code(target, self._task.manifest)
        if not isinstance(target.selector, Rank):
            return code
        return int(np.argsort(-order.max(axis=0), kind="stable")[target.selector.number - 1])

    def _order(self) -> AnyArray:
        """What boxes are ranked by, [boxes, C]; the background is never the best class."""
        if self._values is None:
            raise UnsupportedError("The graph does not list the scores of its boxes. Export the model again.")
        order, head = self._values.order, self._task.manifest.head
        if not head.HasField("background_class"):
            return order
        return np.where(np.arange(order.shape[1]) == head.background_class, -np.inf, order)

    def _objects(self, order: AnyArray) -> list[Found]:
        assert self._boxes is not None
        return find_objects(self._boxes, order, threshold=self._threshold(), iou_threshold=self._view.iou_threshold)

    def _threshold(self) -> float:
        """The least score in the unit of the order; scores that are not probabilities have none."""
        least = self._view.score_threshold
        if self._values is None or self._values.probabilities is None:
            return -math.inf
        if self._values.order is self._values.probabilities:
            return least
        return float(log_odds(np.asarray(least)))

    def _nothing_found(self) -> str:
        best = self._order().max() if self._order().size else math.nan
        if self._values is not None and self._values.order is not self._values.probabilities:
            best = sigmoid(np.asarray(best))
        return (
            f"No box has a score of {self._view.score_threshold:g} or more, so no object is listed; the best has "
            f"{best:.3g}."
        )

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
            probability = float(sigmoid(np.asarray(score)))
        box = None if self._boxes is None else self._rectangle(anchor)
        below = box is not None and self._is_below(index, anchor, probability)
        label = self._task.label_of(index)
        return ClassScore(index, label, score, probability, anchor=anchor, box=box, below_threshold=below)

    def _is_below(self, index: int, anchor: int, probability: float) -> bool:
        """Whether a box is not listed as an object of a class for its score alone."""
        if self._values is None:
            return probability < self._view.score_threshold
        return bool(self._order()[anchor, index] < self._threshold())

    def _rectangle(self, anchor: int) -> Rectangle:
        """Where a box lies in the photo."""
        assert self._boxes is not None
        return self._view.frame.on_photo(Rectangle(*map(float, self._boxes[anchor])))
