"""Follows one object of a detector from frame to frame: the box nearest to the last one of its class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from camgraph_client.cli.source import Source
from camgraph_core.errors import NotInImageError, UsageError
from camgraph_core.place import Box, DetectedObject
from camgraph_core.rectangle import Rectangle
from camgraph_core.result import ClassScore, Result
from camgraph_core.target import Target
from camgraph_core.types import ByteArray

_MOST_OBJECTS = 100  # that are looked at in a frame
_REACH = 1.5  # of the box's diagonal: what lies farther off is another object


class Follower:
    """Explains in every frame the object that is followed.

    Args:
        source: What explains.
        asked: The keywords of `Explains.explain`; their target begins.

    Raises:
        UsageError: More than one target is named, or the model gives no boxes.

    """

    def __init__(self, source: Source, asked: dict[str, Any]) -> None:
        if len(asked["targets"]) + asked["top_k"] > 1:
            raise UsageError("--follow follows one object; name one target.")
        if not source.manifest.boxes.output:
            raise UsageError("--follow is for a detector that gives boxes, and this model does not.")
        [begun] = asked["targets"] or [Target()]
        self._begun = begun if begun.place is not None else replace(begun, place=DetectedObject(1))
        self._source, self._asked = source, {**asked, "top_k": 0}
        self._last: ClassScore | None = None

    def explain(self, pixels: ByteArray) -> Result:
        """Explains the object in a frame, uint8 [H, W, 3].

        Raises:
            NotInImageError: It is not there.

        """
        explains = self._source.explains
        target = self._begun
        if self._last is not None:
            thresholds = {name: self._asked[name] for name in ("score_threshold", "iou_threshold")}
            there = explains.explain(pixels, num_predictions=_MOST_OBJECTS, outputs=["input-heatmap"], **thresholds)
            found = nearest(self._last, there.predictions)
            if found is None:
                raise NotInImageError("The object that is followed is not in this frame.")
            target = replace(target, selector=found.class_index, place=Box(index=found.anchor))
        result = explains.explain(pixels, **{**self._asked, "targets": (target,)})
        self._last = result.explanations[0].target
        return result


def nearest(last: ClassScore, objects: Sequence[ClassScore]) -> ClassScore | None:
    """The object of the same class whose box is nearest; None where all are farther off than an object moves."""
    assert last.box is not None
    box = last.box
    reach = _REACH * math.hypot(box.right - box.left, box.bottom - box.top)
    alike = [
        (distance(box, item.box), item)
        for item in objects
        if item.box is not None and item.class_index == last.class_index
    ]
    near = [pair for pair in alike if pair[0] <= reach]
    return min(near, key=lambda pair: pair[0])[1] if near else None


def distance(one: Rectangle, other: Rectangle) -> float:
    """How far the middles of two boxes lie apart, in pixels."""
    return math.hypot(
        (one.left + one.right - other.left - other.right) / 2, (one.top + one.bottom - other.top - other.bottom) / 2
    )
