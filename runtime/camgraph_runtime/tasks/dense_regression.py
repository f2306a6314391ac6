"""Dense regression: the number that each pixel has, such as its depth; there are no probabilities and no classes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.frame import Frame
from camgraph_core.marked import Marked
from camgraph_core.place import Mask, Point, Polygon
from camgraph_core.result import NO_CLASS, ClassScore
from camgraph_core.target import Target
from camgraph_core.types import AnyArray, ByteArray
from camgraph_runtime.tasks.labels import number_code
from camgraph_runtime.tasks.marking import MASK_INPUT, ScoreMap, checked_place, fitted, mask_of
from camgraph_runtime.tasks.pixel_values import channels_first
from camgraph_runtime.tasks.slots import CLASS_INPUT, TargetSlot
from camgraph_runtime.tasks.task import CLASS, Outputs, Predictions, Task, View, register
from camgraph_runtime.tasks.weighing import is_window, weights_of

_LESS = 0  # of the only number; 1 is more


@register
class DenseRegression(Task):
    """Numbers of each pixel, which are named as those of a regression are; a point is the pixel under it."""

    kinds = (pb.TASK_DENSE_REGRESSION,)
    takes = (*CLASS, Mask, Polygon, Point)
    targets_noun = "targets"
    is_ranked = False
    suits_scenes = True
    inputs = (CLASS_INPUT, MASK_INPUT)

    def checked_slot(self, target: Target) -> TargetSlot:
        """The number, or which way of the only one, and its place; an empty mask means everywhere."""
        return TargetSlot(number_code(target, self.manifest), checked_place(target, self.manifest))

    def is_complete(self) -> bool:
        """Whether the manifest also says how large the map of numbers is."""
        return super().is_complete() and self.manifest.target.HasField("mask_size")

    def fit(self, slots: Sequence[TargetSlot], frame: Frame) -> Sequence[TargetSlot]:
        """The slots with their masks on the map of numbers; all zero instead of none."""
        score_map = ScoreMap.of(self.manifest, frame)
        return [fitted(slot, score_map) for slot in slots]

    def predictions(self, slots: Sequence[TargetSlot], outputs: Outputs, view: View) -> Predictions:
        """Means of the numbers."""
        return MapPredictions(self, [mask_of(slot) for slot in slots], outputs, view)


class MapPredictions(Predictions):
    """Means of the numbers of an image, over all pixels or those under a mask."""

    def __init__(self, task: Task, masks: Sequence[ByteArray], outputs: Outputs, view: View) -> None:
        self._task, self._masks, manifest = task, masks, task.manifest
        self._score_map = ScoreMap.of(manifest, view.frame)
        self._indices = outputs[manifest.target.target_index_output]
        self._scores = outputs[manifest.target.target_score_output]
        self._weights, self._is_window = weights_of(self._score_map, view), is_window(view)
        self._single, output = manifest.head.single_logit, task.head_output(outputs)
        shape = (1 if self._single else manifest.head.num_classes, *self._score_map.size)
        self._numbers = channels_first(output, shape, channels_last=manifest.input.layout == pb.LAYOUT_NHWC)
        wanted = f"{'one number' if self._single else f'{shape[0]} numbers'} for each of {shape[1]} x {shape[2]} pixels"
        self.warnings = [] if self._numbers is not None else [task.unlisted(output, wanted)]

    def best(self, count: int) -> list[ClassScore]:
        """The means of the first numbers over all pixels, in the model's own order: numbers are not ranked."""
        if self._numbers is None:
            return []
        means = [self._mean(number) for number in range(min(count, len(self._numbers)))]
        if self._single:
            return [ClassScore(NO_CLASS, "", math.nan, math.nan, value=float(mean)) for mean in means]
        return [
            ClassScore(index, self._task.label_of(index), math.nan, math.nan, value=float(mean))
            for index, mean in enumerate(means)
        ]

    def of_slot(self, number: int) -> ClassScore:
        """The mean of a slot's number where it counts, and which way it is explained."""
        index, counted = int(self._indices[number]), self._masks[number] != 0
        if not counted.any():
            counted = np.ones_like(counted)
        value = math.nan if self._numbers is None else self._mean(0 if self._single else index, counted)
        score = float(self._scores[number])
        if self._is_window:
            total = value * float(np.where(counted, self._weights, 0).sum(dtype=np.float64))
            score = -total if self._single and index == _LESS else total
        label = self._task.label_of(index)
        return ClassScore(index, label, score, math.nan, area=float(counted.mean()), value=value)

    def _mean(self, number: int, cells: AnyArray | None = None) -> float:
        """The mean of a number over cells, by default all, each as much as it counts."""
        assert self._numbers is not None
        weights = self._weights if cells is None else np.where(cells, self._weights, 0)
        taken = weights if weights.any() else np.ones_like(weights)
        return float(np.average(self._numbers[number], weights=taken.astype(np.float64)))

    def marked(self, number: int) -> Marked | None:
        """The pixels under a slot's mask; None where all count."""
        cells = self._masks[number] != 0
        return self._score_map.marked(cells) if cells.any() else None
