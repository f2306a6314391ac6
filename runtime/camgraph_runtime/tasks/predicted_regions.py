"""Connected regions of what a segmentation model predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from camgraph_core.components import components
from camgraph_core.errors import NotInImageError
from camgraph_core.place import Mask, Point, Region
from camgraph_core.target import Rank, Target
from camgraph_core.types import AnyArray
from camgraph_runtime.tasks.labels import target_code
from camgraph_runtime.tasks.marking import ScoreMap
from camgraph_runtime.tasks.task import Task

OBJECT = 1
"""The class of the object of a single mask; 0 is the background."""


class PredictedRegions:
    """The connected regions of each class in one image; what the network sees beside the photo belongs to none.

    Args:
        task: The graph's task.
        winner: The class that wins each pixel, int64 [h, w].
        score_map: Where these lie on the photo.

    """

    def __init__(self, task: Task, winner: AnyArray, score_map: ScoreMap) -> None:
        self._task, self._winner, self._score_map = task, winner, score_map

    def meant(self, target: Target) -> Target:
        """The target with the class and the mask of its region.

        Raises:
            NotInImageError: There is no such region.
            InvalidInputError: The network does not see the point.

        """
        index, cells = self._at(target) if isinstance(target.place, Point) else self._of_rank(target)
        mask = np.zeros(self._winner.size, np.uint8)
        mask[cells] = 1
        return replace(target, selector=index, place=Mask(mask.reshape(self._winner.shape), on_scores=True))

    def _of_rank(self, target: Target) -> tuple[int, AnyArray]:
        assert isinstance(target.place, Region)
        rank, index = target.place.rank, self._class_of(target)
        found = self._regions(range(self._task.size) if index is None else [index])
        if rank > len(found):
            whose = "the prediction" if index is None else f"class {self._name(index)}"
            raise NotInImageError(f"There is no region {rank} of {whose}: it has {len(found)} in this image.")
        return found[rank - 1]

    def _at(self, target: Target) -> tuple[int, AnyArray]:
        point = target.place
        assert isinstance(point, Point)
        row, column = self._score_map.cell_of(point)
        there, index = int(self._winner[row, column]), None if target.selector is None else self._class_of(target)
        if index is not None and there != index:
            raise NotInImageError(
                f"The point {point.x:g}, {point.y:g} is not in a region of class {self._name(index)}: the model takes "
                f"it for {self._name(there)}."
            )
        flat = row * self._winner.shape[1] + column
        for number, cells in self._regions([there]):
            if flat in cells:
                return number, cells
        raise NotInImageError(
            f"The point {point.x:g}, {point.y:g} lies at the edge of what the network sees, in a cell of the score map "
            "whose middle is beside the image, so it is in no region. Name a point further inside."
        )

    def _regions(self, classes: Sequence[int]) -> list[tuple[int, AnyArray]]:
        """The regions of some classes, each with the class in front, those with the largest area first."""
        present = sorted(set(classes) & set(np.unique(self._winner).tolist()))
        found = [(index, cells) for index in present for cells in components((self._winner == index) & self._on_photo)]
        return sorted(found, key=lambda region: -len(region[1]))

    def _class_of(self, target: Target) -> int | None:
        """The class that a target names; None for any."""
        if target.selector is None:
            return OBJECT if self._task.manifest.head.single_logit else None
        code = target_code(target, self._task.manifest)
        if not isinstance(target.selector, Rank):
            return code
        areas = np.bincount(self._winner.ravel(), minlength=self._task.size)
        return int(np.argsort(-areas, kind="stable")[target.selector.number - 1])

    def _name(self, index: int) -> str:
        return self._task.label_of(index) or str(index)

    @cached_property
    def _on_photo(self) -> AnyArray:
        return self._score_map.on_photo()
