"""Embedding models: a score is the inner product of the embedding with a direction; there are no classes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import TargetError, UnsupportedError
from camgraph_core.place import Direction
from camgraph_core.result import NO_CLASS, ClassScore
from camgraph_core.target import Target
from camgraph_core.types import FloatArray
from camgraph_runtime.tasks.slots import TargetInput, TargetSlot
from camgraph_runtime.tasks.task import Outputs, Predictions, Task, View, register


def _direction_of(slot: TargetSlot) -> FloatArray:
    assert isinstance(slot.place, Direction), "checked with the target"
    return slot.place.array


@register
class Embedding(Task):
    """Directions in the space of an embedding."""

    kinds = (pb.TASK_EMBEDDING,)
    takes = (Direction,)
    inputs = (TargetInput("cotangent_input", np.float32, _direction_of),)
    outputs = ("target_score_output",)

    @property
    def size(self) -> int:
        """Length of the embedding."""
        return self.manifest.head.embedding_size

    def checked_slot(self, target: Target) -> TargetSlot:
        """The direction."""
        if not isinstance(target.place, Direction):
            raise TargetError(
                "The graph is for an embedding model, which has no classes: "
                f"give every target and contrast a cotangent of {self.size} numbers."
            )
        length = target.place.array.size
        if length != self.size:
            raise TargetError(
                f"The cotangent has {length} numbers, but the embedding has {self.size}; "
                "give the embedding of this model."
            )
        return TargetSlot(place=target.place)

    def any_target(self) -> Target:
        """The direction in which all numbers grow alike."""
        return Target.direction(np.ones(self.size, np.float32))

    def best_targets(self, count: int) -> list[Target]:
        """None: no direction is the best."""
        if count:
            raise UnsupportedError(
                "The graph is for an embedding model, which has no best classes; give targets with a cotangent."
            )
        return []

    def prediction_slot(self) -> TargetSlot:
        """None: an embedding has no predictions."""
        raise UnsupportedError("The graph is for an embedding model, which predicts no classes.")

    def predictions(self, _: Sequence[TargetSlot], outputs: Outputs, _view: View) -> Predictions:
        """Scores of the asked directions."""
        return DirectionPredictions(outputs[self.manifest.target.target_score_output])


class DirectionPredictions:
    """Scores of the asked directions."""

    warnings: Sequence[str] = ()

    def __init__(self, scores: FloatArray) -> None:
        self._scores = scores

    def best(self, _: int) -> list[ClassScore]:
        """None: an embedding has no classes."""
        return []

    def of_slot(self, number: int) -> ClassScore:
        """The inner product of a slot."""
        return ClassScore(NO_CLASS, "", float(self._scores[number]), math.nan)
