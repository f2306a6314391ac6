"""Segmentation: a target is a class and a mask of pixels; each class has the share of the picture that it wins."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import UnsupportedError
from camgraph_core.frame import Frame
from camgraph_core.marked import Marked
from camgraph_core.place import Mask, Point, Polygon, Region
from camgraph_core.result import ClassScore
from camgraph_core.target import Target
from camgraph_core.types import AnyArray, ByteArray
from camgraph_runtime.tasks.labels import target_code
from camgraph_runtime.tasks.marking import MASK_INPUT, ScoreMap, checked_place, fitted, mask_of
from camgraph_runtime.tasks.pixel_values import read_pixels
from camgraph_runtime.tasks.predicted_regions import OBJECT, PredictedRegions
from camgraph_runtime.tasks.slots import CLASS_INPUT, TargetSlot
from camgraph_runtime.tasks.task import CLASS, Outputs, Predictions, Task, View, register
from camgraph_runtime.tasks.weighing import is_window, weights_of


@register
class Segmentation(Task):
    """Classes of the pixels of an image."""

    kinds = (pb.TASK_SEGMENTATION,)
    takes = (*CLASS, Mask, Polygon, Region, Point)
    found_by_run = (Region, Point)
    suits_scenes = True
    inputs = (CLASS_INPUT, MASK_INPUT)

    def checked_slot(self, target: Target) -> TargetSlot:
        """The class and its place; an empty mask is none, which means where the class wins.

        Of a single mask the object is explained where no class is named: the background often has the larger area.
        """
        place = checked_place(target, self.manifest)
        if target.selector is None and self.manifest.head.single_logit:
            return TargetSlot(OBJECT, place)
        return TargetSlot(target_code(target, self.manifest), place)

    def best_targets(self, count: int) -> list[Target]:
        """The classes with the largest areas; of a single mask the object, then the background."""
        targets = super().best_targets(count)
        return [Target.index(OBJECT), Target.index(0)][:count] if self.manifest.head.single_logit else targets

    def is_complete(self) -> bool:
        """Whether the manifest also says how large the score map is."""
        return super().is_complete() and self.manifest.target.HasField("mask_size")

    def fit(self, slots: Sequence[TargetSlot], frame: Frame) -> Sequence[TargetSlot]:
        """The slots with their masks on the score map; all zero instead of none."""
        score_map = ScoreMap.of(self.manifest, frame)
        return [fitted(slot, score_map) for slot in slots]

    def found(self, target: Target, outputs: Outputs, view: View) -> Target:
        """The target with the mask of its region."""
        score_map = ScoreMap.of(self.manifest, view.frame)
        values = read_pixels(self.head_output(outputs), self.manifest, score_map.size)
        if values is None:
            raise UnsupportedError(
                "The target names a region of the prediction, but the graph does not show which class each pixel is. "
                "Name a mask or a polygon."
            )
        return PredictedRegions(self, values.winner, score_map).meant(target)

    def predictions(self, slots: Sequence[TargetSlot], outputs: Outputs, view: View) -> Predictions:
        """Areas, mean probabilities and summed scores of the classes."""
        return PixelPredictions(self, [mask_of(slot) for slot in slots], outputs, view)


class PixelPredictions(Predictions):
    """Areas, mean probabilities and summed scores of the classes of an image."""

    def __init__(self, task: Task, masks: Sequence[ByteArray], outputs: Outputs, view: View) -> None:
        self._task, self._masks = task, masks
        self._score_map = ScoreMap.of(task.manifest, view.frame)
        manifest = task.manifest
        self._indices = outputs[manifest.target.target_index_output]
        self._scores = outputs[manifest.target.target_score_output]
        height, width = self._masks[0].shape
        self._is_window = is_window(view)
        self._weights = weights_of(self._score_map, view)
        output = task.head_output(outputs)
        self._values = read_pixels(output, manifest, (height, width))
        wanted = f"{manifest.head.num_classes} classes of {height} x {width} pixels"
        self.warnings = [] if self._values else [task.unlisted(output, wanted)]

    def best(self, count: int) -> list[ClassScore]:
        """The classes that win pixels, by area."""
        if self._values is None:
            return []
        classes, weights = self._task.manifest.head.num_classes, self._weights.ravel()
        areas = np.bincount(self._values.winner.ravel(), weights, minlength=classes)
        order = np.argsort(-areas, kind="stable")[:count]
        return [self._winner(int(index)) for index in order if areas[index] > 0]

    def of_slot(self, number: int) -> ClassScore:
        """The class of a slot: under its mask, or where it wins."""
        index, mask = int(self._indices[number]), self._masks[number] != 0
        return self._class_score(index, self._counted(index, mask), number)

    def marked(self, number: int) -> Marked | None:
        """The pixels under a slot's mask, or where its class wins."""
        cells = self._counted(int(self._indices[number]), self._masks[number] != 0)
        return None if cells is None else self._score_map.marked(cells)

    def _winner(self, index: int) -> ClassScore:
        """A class where it wins; its score is exact if a slot asked for just that."""
        wins = self._counted(index, None)
        for number, mask in enumerate(self._masks):
            if int(self._indices[number]) == index and not mask.any():
                return self._class_score(index, wins, number)
        return self._class_score(index, wins)

    def _counted(self, index: int, mask: AnyArray | None) -> AnyArray | None:
        if mask is not None and mask.any():
            return mask
        return self._values.winner == index if self._values else None

    def _score(self, index: int, counted: AnyArray | None, slot: int | None) -> float:
        """The sum of a class's scores where they count; that of a slot is exact, as the graph gives it."""
        if slot is not None and not self._is_window:
            return float(self._scores[slot])
        scores = self._values.scores if self._values else None
        if scores is None or counted is None:
            return math.nan
        weights = self._weights[counted].astype(np.float64) if self._is_window else np.ones(int(counted.sum()))
        score = float(np.dot(scores[index][counted], weights))
        return score if math.isfinite(score) else math.nan  # a probability that was rounded to 1 hides its score

    def _class_score(self, index: int, counted: AnyArray | None, slot: int | None = None) -> ClassScore:
        score = self._score(index, counted, slot)
        probabilities = self._values.probabilities if self._values else None
        probability, area = math.nan, None
        if counted is not None:
            weights = self._weights[counted].astype(np.float64)
            area = float(weights.sum()) / float(self._weights.sum(dtype=np.float64))
            if probabilities is not None and area > 0:
                probability = float(np.average(probabilities[index][counted], weights=weights))
        return ClassScore(index, self._task.label_of(index), score, probability, area=area)
