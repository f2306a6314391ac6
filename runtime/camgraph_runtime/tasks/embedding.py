"""Embedding models: a score is the inner product of the embedding with a direction, or its likeness to others.

The similarity to other images depends on the embedding of the image itself, so a run of its own gives that first. Then
the gradient of the similarity is a direction like any other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import TargetError, UnsupportedError
from camgraph_core.place import Direction, References
from camgraph_core.result import NO_CLASS, ClassScore
from camgraph_core.target import Target
from camgraph_core.types import FloatArray
from camgraph_runtime.tasks.similarity import Likeness, likeness
from camgraph_runtime.tasks.slots import TargetInput, TargetSlot
from camgraph_runtime.tasks.task import Outputs, Predictions, Task, View, register


def _direction_of(slot: TargetSlot) -> FloatArray:
    assert isinstance(slot.place, Direction), "checked with the target, and looked up in a run"
    return slot.place.array


@register
class Embedding(Task):
    """Directions in the space of an embedding, and likeness to other images."""

    kinds = (pb.TASK_EMBEDDING,)
    takes = (Direction, References, Likeness)
    found_by_run = (References,)
    inputs = (TargetInput("cotangent_input", np.float32, _direction_of),)
    outputs = ("target_score_output", "embedding_output")

    @property
    def size(self) -> int:
        """Length of the embedding."""
        return self.manifest.head.embedding_size

    def checked_slot(self, target: Target) -> TargetSlot:
        """The direction or the references."""
        if not isinstance(target.place, Direction | References):
            raise TargetError(
                "The graph is for an embedding model, which has no classes: "
                f"give every target and contrast a cotangent of {self.size} numbers, or references."
            )
        length = target.place.array.shape[-1]
        if length != self.size:
            what = "A reference" if isinstance(target.place, References) else "The cotangent"
            raise TargetError(
                f"{what} has {length} numbers, but the embedding has {self.size}; give the embedding of this model."
            )
        return TargetSlot(place=target.place)

    def any_target(self) -> Target:
        """The direction in which all numbers grow alike."""
        return Target.direction(np.ones(self.size, np.float32))

    def default_targets(self) -> Sequence[Target]:
        """None: the embedding is the answer."""
        return ()

    def best_targets(self, count: int) -> list[Target]:
        """None: no direction is the best."""
        if count:
            raise UnsupportedError(
                "The graph is for an embedding model, which has no best classes; "
                "give targets with a cotangent or references."
            )
        return []

    def prediction_slot(self) -> TargetSlot:
        """A direction, which the embedding does not depend on."""
        return TargetSlot(place=self.any_target().place)

    def found(self, target: Target, outputs: Outputs, _view: View) -> Target:
        """The target with the gradient of its similarity, which depends on the embedding of the image."""
        assert isinstance(target.place, References)
        return replace(target, place=likeness(target.place, self.embedding(outputs)))

    def embedding(self, outputs: Outputs) -> FloatArray:
        """The embedding of an image."""
        array: FloatArray = outputs[self.manifest.target.embedding_output]
        return array

    def predictions(self, slots: Sequence[TargetSlot], outputs: Outputs, _view: View) -> Predictions:
        """Scores of the asked directions and references."""
        return DirectionPredictions(slots, outputs[self.manifest.target.target_score_output])


class DirectionPredictions(Predictions):
    """Scores of the asked directions and references."""

    def __init__(self, slots: Sequence[TargetSlot], scores: FloatArray) -> None:
        self._slots, self._scores = slots, scores
        self.warnings = [
            f"The embedding of the image is that of {slot.place.label}, or its opposite: no part of the image speaks "
            "for or against the likeness."
            for slot in slots
            if isinstance(slot.place, Likeness) and slot.place.is_flat
        ]

    def best(self, _: int) -> list[ClassScore]:
        """None: an embedding has no classes."""
        return []

    def of_slot(self, number: int) -> ClassScore:
        """The inner product of a slot, or its similarity."""
        place = self._slots[number].place
        if isinstance(place, Likeness):
            return ClassScore(NO_CLASS, place.label, place.similarity, math.nan)
        return ClassScore(NO_CLASS, "", float(self._scores[number]), math.nan)
