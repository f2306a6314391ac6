"""Classification: a target is a class; every class has a score and a probability."""

from __future__ import annotations

import math
from collections.abc import Sequence

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.result import ClassScore
from camgraph_core.target import Target
from camgraph_runtime.tasks.head_scores import read_head
from camgraph_runtime.tasks.labels import target_code
from camgraph_runtime.tasks.slots import TargetSlot
from camgraph_runtime.tasks.task import CLASS, Outputs, Predictions, Task, View, register

_BEST = -1  # the code of rank 1


@register
class Classification(Task):
    """Classes of an image. A manifest that states no task is read as this one."""

    kinds = (pb.TASK_CLASSIFICATION, pb.TASK_UNSPECIFIED)
    takes = CLASS
    suits_scenes = True

    def checked_slot(self, target: Target) -> TargetSlot:
        """The class."""
        return TargetSlot(target_code(target, self.manifest))

    def predictions(self, slots: Sequence[TargetSlot], outputs: Outputs, _view: View) -> Predictions:
        """Scores and probabilities of the classes."""
        return ClassPredictions(self, slots, outputs)


class ClassPredictions(Predictions):
    """Scores of the classes of an image; of a model that gives only the index of the best class, those of targets."""

    def __init__(self, task: Task, slots: Sequence[TargetSlot], outputs: Outputs) -> None:
        self._task, manifest = task, task.manifest
        self._indices = outputs[manifest.target.target_index_output]
        best = next((int(index) for slot, index in zip(slots, self._indices, strict=False) if slot.code == _BEST), None)
        scores = outputs[manifest.target.target_score_output]
        self._known = {int(index): float(score) for index, score in zip(self._indices, scores, strict=False)}
        output, head = task.head_output(outputs), manifest.head
        only_winner = not head.output_is_ranked and output.size == 1 < head.num_classes and not head.single_logit
        self._winner = int(output.item()) if only_winner else None
        unreadable = self._winner is not None or head.output_is_ranked
        self._values = None if unreadable else read_head(output, head, self._known, best)
        self.warnings = [] if self._values else [task.unlisted(output, f"{head.num_classes} classes")]

    def best(self, count: int) -> list[ClassScore]:
        """The best classes by score."""
        if self._values is None:
            return [self._class_score(self._winner)][:count] if self._winner is not None else []
        return [self._class_score(index) for index in self._values.best(count)]

    def of_slot(self, number: int) -> ClassScore:
        """The class of a slot."""
        return self._class_score(int(self._indices[number]))

    def _class_score(self, index: int) -> ClassScore:
        values = self._values
        return ClassScore(
            class_index=index,
            label=self._task.label_of(index),
            score=self._known.get(index, math.nan) if values is None else float(values.scores[index]),
            probability=math.nan if values is None else float(values.probabilities[index]),
        )
