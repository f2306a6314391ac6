"""Target slots: what a graph's target inputs take and its target outputs give, one entry along the axis T each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from camgraph_core.place import Place
from camgraph_core.target import Target
from camgraph_core.types import AnyArray


@dataclass(frozen=True)
class TargetSlot:
    """One entry along the axis T.

    Attributes:
        code: ``c >= 0`` is class c, ``-r`` the class of rank r; not used by a task without classes.
        place: Mask, polygon, box or direction; None is the task's default. Masks and polygons are as the user gave them
            in a plan, and masks on the score map in a plan that was fitted to an image.
        remark: What the user should know of it after it was fitted to an image.

    """

    code: int = 0
    place: Place | None = None
    remark: str = ""


@dataclass(frozen=True)
class TargetInput:
    """An input of a graph that names targets, [N, T, ...].

    Attributes:
        field: The field of the manifest's `TargetTensors` that has the input's name.
        dtype: Element type.
        value: What a slot gives for it: a number or an array.

    """

    field: str
    dtype: type[np.generic]
    value: Callable[[TargetSlot], int | AnyArray]


CLASS_INPUT = TargetInput("target_input", np.int64, lambda slot: slot.code)

SlotPair: TypeAlias = tuple[int, int | None]
"""Number of a target's slot, and that of its contrast or None."""


def distinct_slots(
    targets: Iterable[Target], slot_of: Callable[[Target], TargetSlot]
) -> tuple[tuple[TargetSlot, ...], tuple[SlotPair, ...]]:
    """Each slot that the targets need once, and for each target its pair."""
    number_of: dict[TargetSlot, int] = {}

    def number(target: Target) -> int:
        return number_of.setdefault(slot_of(target), len(number_of))

    pairs = tuple(
        (number(target), None if (against := target.resolved_contrast) is None else number(against))
        for target in targets
    )
    return tuple(number_of), pairs
