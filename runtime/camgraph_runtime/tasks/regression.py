"""Regression: the number, or the several numbers, that a model gives; there are no probabilities and no classes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.result import NO_CLASS, ClassScore
from camgraph_core.target import Target
from camgraph_runtime.tasks.labels import number_code
from camgraph_runtime.tasks.slots import TargetSlot
from camgraph_runtime.tasks.task import CLASS, Outputs, Predictions, Task, View, register


@register
class Regression(Task):
    """Numbers of an image, which are named as classes are; of a single one 1 is "more" and 0 is "less"."""

    kinds = (pb.TASK_REGRESSION,)
    takes = CLASS
    is_ranked = False
    suits_scenes = True
    targets_noun = "targets"

    def checked_slot(self, target: Target) -> TargetSlot:
        """The number, or which way of the only one."""
        return TargetSlot(number_code(target, self.manifest))

    def predictions(self, _: Sequence[TargetSlot], outputs: Outputs, _view: View) -> Predictions:
        """The numbers."""
        return ValuePredictions(self, outputs)


class ValuePredictions(Predictions):
    """The numbers of an image. Targets of a single one are "more" and "less" of it, else they are the numbers."""

    def __init__(self, task: Task, outputs: Outputs) -> None:
        self._task, manifest = task, task.manifest
        self._indices = outputs[manifest.target.target_index_output]
        self._scores = outputs[manifest.target.target_score_output]
        self._single = manifest.head.single_logit
        output, count = task.head_output(outputs), 1 if self._single else manifest.head.num_classes
        self._values = output.astype(np.float64).ravel() if output.size == count else None
        wanted = "one number" if self._single else f"{count} numbers"
        self.warnings = [] if self._values is not None else [task.unlisted(output, wanted)]

    def best(self, count: int) -> list[ClassScore]:
        """The first numbers, in the model's own order: numbers are not ranked."""
        if self._values is None or not count:
            return []
        if self._single:
            return [ClassScore(NO_CLASS, "", math.nan, math.nan, value=float(self._values[0]))]
        return [
            ClassScore(index, self._task.label_of(index), math.nan, math.nan, value=float(value))
            for index, value in enumerate(self._values[:count])
        ]

    def of_slot(self, number: int) -> ClassScore:
        """The number of a slot, and which way it is explained."""
        index = int(self._indices[number])
        value = math.nan if self._values is None else float(self._values[0 if self._single else index])
        return ClassScore(index, self._task.label_of(index), float(self._scores[number]), math.nan, value=value)
