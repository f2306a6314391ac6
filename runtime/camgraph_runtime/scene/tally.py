"""What a scene shows, from what its windows show: sums over the windows, or means by the share each stands for."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from camgraph_core.errors import NotInImageError, UsageError
from camgraph_core.explanation import Explanation
from camgraph_core.place import Place
from camgraph_core.result import ClassScore
from camgraph_core.target import Rank, Target
from camgraph_core.types import AnyArray


class Tally:
    """Classes and their scores over the windows of a scene."""

    def __init__(self) -> None:
        self._rows: dict[int, list[tuple[float, ClassScore]]] = {}
        self._total = 0.0

    def add(self, share: float, scores: Iterable[ClassScore]) -> None:
        """Adds a window that stands for a share of the scene; one without a share says nothing of it."""
        if not share:
            return
        self._total += share
        for score in scores:
            self._rows.setdefault(score.class_index, []).append((share, score))

    def best(self) -> list[ClassScore]:
        """All classes, best first: by area where they have one, else by probability, or without it by score.

        The numbers of a regression stay in their order.
        """
        means = [self._mean(rows) for rows in self._rows.values()]
        return means if means and means[0].value is not None else sorted(means, key=_worth, reverse=True)

    def _mean(self, rows: list[tuple[float, ClassScore]]) -> ClassScore:
        shares = np.array([share for share, _ in rows])
        first = rows[0][1]

        def mean(values: list[float], whole: float) -> float:
            return float(np.dot(shares, values) / whole)

        counted = float(shares.sum()) or 1.0
        numbers = [row.value for _, row in rows]
        # A class that wins nowhere in a window is not listed there: it has no area in it.
        areas = np.array([row.area or 0.0 for _, row in rows]) * shares
        scores = [row.score for _, row in rows]
        is_sum = first.area is not None  # over pixels of each window
        return replace(
            first,
            score=math.fsum(scores) if is_sum else mean(scores, counted),
            probability=_average(
                np.array([row.probability for _, row in rows]), shares if first.area is None else areas
            ),
            area=None if first.area is None else float(areas.sum()) / (self._total or 1.0),
            value=None if first.value is None else mean([number or 0.0 for number in numbers], counted),
        )


class TargetTally:
    """What the windows of a scene say of one target."""

    def __init__(self) -> None:
        self._target, self._contrast = Tally(), Tally()
        self._last: Explanation | None = None
        self.has_no_gradient = True

    def add(self, share: float, explanation: Explanation) -> None:
        """Adds a window's explanation."""
        self._last = explanation
        self._target.add(share, [explanation.target])
        self._contrast.add(share, [] if explanation.contrast is None else [explanation.contrast])
        self.has_no_gradient &= explanation.statistics.no_gradient

    @property
    def last(self) -> Explanation:
        """The explanation of the last window."""
        assert self._last is not None, "A scene has a window with data."
        return self._last

    @property
    def target(self) -> ClassScore:
        """The target over the scene."""
        return self._target.best()[0]

    @property
    def contrast(self) -> ClassScore | None:
        """What it was held against."""
        return next(iter(self._contrast.best()), None)


def _average(values: AnyArray, counted: AnyArray) -> float:
    """The mean of values, each as much as it counts; those that do not count may be anything."""
    taken = counted > 0
    return float(np.average(values[taken], weights=counted[taken])) if taken.any() else math.nan


def _worth(score: ClassScore) -> tuple[float, float]:
    return score.area or 0.0, score.score if np.isnan(score.probability) else score.probability


def check_targets(targets: Iterable[Target]) -> None:
    """Checks that targets mean the same in every window.

    Raises:
        UsageError: One has a place, which lies in one of them.

    """
    for target in targets:
        places: list[Place | None] = [target.place, None if target.contrast is None else target.contrast.place]
        if any(place is not None for place in places):
            raise UsageError("In a scene a target is a class. Leave out mask, polygon, region, box and point.")


def is_ranked(target: Target) -> bool:
    """Whether a class is named by its rank, or not at all, so that the scene has to be looked at first."""
    selectors = [target.selector, *([] if target.contrast is None else [target.contrast.selector])]
    return any(selector is None or isinstance(selector, Rank) for selector in selectors)


def resolved(target: Target, ranking: list[ClassScore]) -> Target:
    """The target with the class of the whole scene where it names a rank.

    Raises:
        NotInImageError: There are not as many classes.

    """
    contrast = None if target.contrast is None else resolved(target.contrast, ranking)
    if not (target.selector is None or isinstance(target.selector, Rank)):
        return replace(target, contrast=contrast)
    rank = 1 if target.selector is None else target.selector.number
    if rank > len(ranking):
        raise NotInImageError(f"The scene shows {len(ranking)} classes, so there is none of rank {rank}.")
    return replace(target, selector=ranking[rank - 1].class_index, contrast=contrast)
