"""Convolutions and poolings: the place of an output element is the middle of the window that it looks through."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from camgraph_exporter.graph.traits import Trait, has
from camgraph_exporter.reading.placement.elements import FRAMES, WAYS, Array, Elements, LocatedAxis, Lost, fixed
from camgraph_exporter.reading.placement.located import Located, located
from camgraph_exporter.reading.placement.step import MAY_MOVE, Step, moved
from camgraph_exporter.reading.window_reading import leading_pads, sliding_window

MIXES = "mixes elements from different places of the image"
_NO_NEIGHBOURS = "looks at neighbours that do not lie side by side on the image"
_CHANNELS_LAST = "channels_last"


def window(step: Step, index: int) -> Located:
    """Place each output element in the middle of its window; of a transposed one, of the inputs that reach it."""
    x, out = _data(step), step.out(index)
    if x is None:
        return step.all_lost(index, MAY_MOVE)
    place, shape = x
    read = sliding_window(step)
    last = step.number(_CHANNELS_LAST, 0) == 1
    spatial = list(range(1, len(out) - 1) if last else range(2, len(out)))
    if read is None or len(read.kernel) != len(spatial) or len(shape) != len(out):
        return step.all_lost(index, MAY_MOVE)
    begin = leading_pads(step, read, [shape[i] for i in spatial], [out[i] for i in spatial])
    axes = list(place.axes)
    for i, pad, stride, reach in zip(spatial, begin, read.strides, read.reach, strict=True):
        axis = axes[i]
        if isinstance(axis, Lost):
            continue
        if has(step.node, Trait.TRANSPOSED):
            new = axis.along_line(out[i], 1 / stride, (pad - reach / 2) / stride)
        else:
            new = axis.along_line(out[i], float(stride), reach / 2 - pad)
        axes[i] = moved(step, axis, new, _NO_NEIGHBOURS)
    channels = len(out) - 1 if last else 1
    moved_on = replace(located(place.origin, axes), coarsest=place.coarsest)
    return with_mixed(step, moved_on, channels, out[channels])


def _data(step: Step) -> tuple[Located, tuple[int, ...]] | None:
    """Return the place and the shape of the input that the window slides over, which is the first from the image."""
    for i in range(len(step.node.inputs)):
        place = step.place(i)
        if place is not None:
            return place, step.shape(i)
    return None


def whole(step: Step, index: int) -> Located:
    """Global pooling: one element in the middle of all."""
    x, out = step.place(0), step.out(index)
    if x is None or len(x.axes) != len(out):
        return step.all_lost(index, MAY_MOVE)
    return located(x.origin, [middle(axis) if size == 1 else axis for axis, size in zip(x.axes, out, strict=True)])


def middle(axis: LocatedAxis) -> LocatedAxis:
    """Return an axis of one element in the middle of an axis."""
    if isinstance(axis, Lost):
        return axis
    return Elements(axis.mean[None], axis.cell * len(axis))


def with_mixed(step: Step, place: Located, index: int, count: int) -> Located:
    """Return a place after every element along an axis was mixed with every other, into `count` of them.

    Mixing is harmless where they lie within a cell of the map, as those do that were taken apart from one cell, or of a
    coarser one before it. So is that of all frames where the map has none any more.
    """
    axis = place.axes[index]
    if isinstance(axis, Lost):
        return place
    rest = Located(place.origin, (*place.axes[:index], *place.axes[index + 1 :]), place.coarsest)
    if (axis.spread > apart(rest) + 1e-6).any():
        return place.with_axis(index, step.lost(MIXES))
    middle_of = axis.mean
    origin = place.origin + middle_of if len(axis) else place.origin
    return Located(origin, place.axes).with_axis(index, fixed(count))


def apart(place: Located) -> Array:
    """Return how far what is one cell may lie apart, [3]: as far as the cell reaches, and over all frames of a map.

    Paddings of coarser maps on the way here shift what they are joined with by as much as a cell of theirs.
    """
    cell = np.maximum(place.cell, place.coarsest)
    return np.where((np.arange(WAYS) == FRAMES) & (cell == 0), np.inf, cell)
