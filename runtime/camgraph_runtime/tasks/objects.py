"""Objects of an image: the boxes that non-maximum suppression leaves of all candidates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from camgraph_core.types import AnyArray

_MOST_CANDIDATES = 2000
"""Of the boxes above the threshold, those with the best scores; suppression takes time with each."""

MOST_OBJECTS = 100
"""That are found in an image."""


@dataclass(frozen=True)
class Found:
    """An object: the number of its box and its class."""

    anchor: int
    class_index: int


def find_objects(boxes: AnyArray, scores: AnyArray, *, threshold: float, iou_threshold: float) -> list[Found]:
    """The objects among candidate boxes, best first, at most `MOST_OBJECTS`; of equal scores the lower box first.

    Greedy non-maximum suppression for each class by itself, as in Felzenszwalb et al. 2010, section 8.2: a box is left
    out where one of its own class with a better score overlaps it by more than ``iou_threshold``.

    Args:
        boxes: Left, top, right, bottom [boxes, 4].
        scores: What boxes are ranked by [boxes, C]; a box belongs to its best class. -inf: never.
        threshold: The least score.
        iou_threshold: Intersection over union.

    """
    classes, best = scores.argmax(axis=1), scores.max(axis=1)
    usable = (best >= threshold) & np.isfinite(best) & np.isfinite(boxes).all(axis=1)
    candidates = np.flatnonzero(usable)
    order = candidates[np.argsort(-best[candidates], kind="stable")][:_MOST_CANDIDATES]
    kept = _suppressed(boxes[order].astype(np.float64), classes[order], iou_threshold)
    return [Found(int(order[i]), int(classes[order[i]])) for i, _ in zip(kept, range(MOST_OBJECTS), strict=False)]


def _suppressed(boxes: AnyArray, classes: AnyArray, iou_threshold: float) -> Iterator[int]:
    """The indices of the boxes that are kept; the boxes come best first."""
    areas = np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)
    left = np.ones(len(boxes), bool)
    for index in range(len(boxes)):
        if not left[index]:
            continue
        yield index
        left &= (_iou(boxes, areas, index) <= iou_threshold) | (classes != classes[index])


def _iou(boxes: AnyArray, areas: AnyArray, index: int) -> AnyArray:
    """Intersection over union of all boxes with one of them; 0 where both are empty."""
    low = np.maximum(boxes[:, :2], boxes[index, :2])
    high = np.minimum(boxes[:, 2:], boxes[index, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    union = areas + areas[index] - shared
    overlap: AnyArray = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap
