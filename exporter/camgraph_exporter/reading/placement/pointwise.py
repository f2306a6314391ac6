"""Operators that work element by element, and those of which nothing else is known: axes meet from the right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from camgraph_exporter.reading.placement.elements import Array, Elements, LocatedAxis, Lost, fixed
from camgraph_exporter.reading.placement.located import Located, located, same_axis
from camgraph_exporter.reading.placement.step import Step

JOINS = "joins maps that lie in different places"


def allowance(place: Located) -> Array:
    """Return how far from each other, [3], maps may lie that share a place: paddings and strides shift by a cell."""
    return np.asarray(np.maximum(place.cell, place.coarsest) + 1e-6)


def broadcast(step: Step, index: int) -> Located:
    """Align the inputs to the right as NumPy does; an axis that one input has lost comes back from another."""
    out = step.out(index)
    widened = (_widened(step, i, out) for i in range(len(step.node.inputs)))
    places = [place for place in widened if place is not None]
    return joined(step, places, len(out)) if places else step.all_lost(index, "takes nothing from the image")


def _widened(step: Step, index: int, out: Sequence[int]) -> Located | None:
    """Return an input with as many axes as the output has; None where it does not come from the image."""
    place, shape = step.place(index), step.shape(index)
    if place is None or len(shape) > len(out):
        return None
    axes: list[LocatedAxis] = [*(fixed(1) for _ in range(len(out) - len(shape))), *place.axes]
    stretched = tuple(stretched_axis(step, axis, size) for axis, size in zip(axes, out, strict=True))
    return Located(place.origin, stretched, place.coarsest)


def stretched_axis(step: Step, axis: LocatedAxis, size: int) -> LocatedAxis:
    """Return an axis of one element as often as it takes; another size is lost."""
    if isinstance(axis, Lost) or len(axis) == size:
        return axis
    return fixed(size) if len(axis) == 1 else step.lost("changes their number")


def joined(step: Step, places: Sequence[Located], rank: int) -> Located:
    """Return the common place of tensors that are combined; a cell or more apart, they have none."""
    within = np.max([allowance(place) for place in places], axis=0)
    axes = [_common(step, [place.axes[i] for place in places], within) for i in range(rank)]
    origins = np.stack([place.origin for place in places if _is_whole(place, axes)] or [places[0].origin])
    if not _are_near(origins, within):
        return Located(origins[0], (step.lost(JOINS),) * rank)
    return located(origins.mean(axis=0), axes)


def _common(step: Step, axes: Sequence[LocatedAxis], within: Array) -> LocatedAxis:
    """Return the axis on which all agree that know it; one of a single place says nothing."""
    found = [axis for axis in axes if isinstance(axis, Elements)]
    if not found:
        return axes[0]
    leading = [axis for axis in found if not axis.is_fixed] or found
    if all(same_axis(leading[0], axis, within) for axis in leading[1:]):
        return leading[0]
    return step.lost(JOINS)


def _is_whole(place: Located, axes: Sequence[LocatedAxis]) -> bool:
    """Tell whether a tensor itself leads everywhere where the result leads: a pooled one has no place of its own."""
    return all(
        isinstance(axis, Lost) or (isinstance(own, Elements) and (axis.is_fixed or not own.is_fixed))
        for axis, own in zip(axes, place.axes, strict=True)
    )


def _are_near(origins: Array, within: Array) -> bool:
    shown = origins[np.isfinite(origins).all(axis=1)]
    return bool((np.ptp(shown, axis=0) <= within).all()) if len(shown) else True
