"""Operators that pick, cut, join, repeat and turn round elements along axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from camgraph_exporter.graph.traits import Trait, has
from camgraph_exporter.reading.placement.elements import (
    WAYS,
    Array,
    Elements,
    LocatedAxis,
    Lost,
    fixed,
    split,
    unplaced,
)
from camgraph_exporter.reading.placement.located import Located, located, same_axis
from camgraph_exporter.reading.placement.pointwise import JOINS, allowance
from camgraph_exporter.reading.placement.step import MAY_MOVE, Step, moved

_BY_DATA = "orders them by the image's content"


def transpose(step: Step, index: int) -> Located:
    """Exchange axes."""
    x = step.place(0)
    if x is None:
        return step.all_lost(index, MAY_MOVE)
    perm = step.numbers("perm") or list(reversed(range(len(x.axes))))
    return Located(x.origin, tuple(x.axes[i] for i in perm))


def slice_(step: Step, index: int) -> Located:
    """Cut and turn round by starts, ends and steps, which are attributes in old opsets."""
    x, shape, out = step.place(0), step.shape(0), step.out(index)
    if x is None:
        return step.all_lost(index, MAY_MOVE)
    starts, ends = step.ints("starts", 1), step.ints("ends", 2)
    steps = step.ints("steps", 4)
    if starts is None or ends is None or (steps is None and step.input(4) is not None):
        return _kept_where_whole(step, x, shape, out)
    given = step.ints("axes", 3) or list(range(len(starts)))
    axes = list(x.axes)
    for axis, start, end, way in zip(given, starts, ends, steps or [1] * len(starts), strict=True):
        chosen = range(shape[axis])[start:end:way] if way > 0 else _backwards(shape[axis], start, end, way)
        axes[axis] = _taken(step, axes[axis], list(chosen))
    return located(x.origin, axes)


def _backwards(size: int, start: int, end: int, way: int) -> range:
    """Return the indices of a slice that runs backwards; an end before the first element is a very negative number."""
    first = min(start + size if start < 0 else start, size - 1)
    last = max(end + size if end < 0 else end, -1)
    return range(first, last, way)


def _kept_where_whole(step: Step, x: Located, shape: Sequence[int], out: Sequence[int]) -> Located:
    """Keep axes whose size stays: what is cut where is only known with the image."""
    cut = step.lost("cuts at a place that depends on the image")
    return Located(x.origin, tuple(axis if a == b else cut for axis, a, b in zip(x.axes, shape, out, strict=True)))


def _by_data(step: Step, axis: LocatedAxis, count: int, why: str = _BY_DATA) -> LocatedAxis:
    """Return an axis in an order that is not known, which is harmless where all elements lie in one place."""
    one_place = isinstance(axis, Elements) and axis.is_fixed
    return moved(step, axis, fixed(count) if one_place else None, why)


def _taken(step: Step, axis: LocatedAxis, indices: Sequence[int]) -> LocatedAxis:
    return moved(step, axis, axis.take(indices) if isinstance(axis, Elements) and len(indices) else None)


def split_(step: Step, index: int) -> Located:
    """Take one part of an axis that is cut in several."""
    x = step.place(0)
    if x is None:
        return step.all_lost(index, MAY_MOVE)
    axis = step.number("axis", 0) % len(x.axes)
    start = sum(step.out(i)[axis] for i in range(index))
    return x.with_axis(axis, _taken(step, x.axes[axis], range(start, start + step.out(index)[axis])))


def gather(step: Step, index: int) -> Located:
    """Take the elements of constant indices along one axis."""
    x, rank = step.place(0), len(step.shape(0))
    axis = step.number("axis", 0) % max(rank, 1)
    return step.all_lost(index, MAY_MOVE) if x is None else _picked(step, index, x, axis, step.constant(1))


def gather_nd(step: Step, index: int) -> Located:
    """Take the elements of constant indices [..., 1] along the axis after the batch, the same for all of the batch."""
    x, indices, axis = step.place(0), step.constant(1), step.number("batch_dims", 0)
    if x is None or indices is None or indices.shape[-1] != 1 or indices.size == 0:
        return step.all_lost(index, _BY_DATA if indices is None else MAY_MOVE)
    first = indices[(slice(0, 1),) * axis]
    if (indices != first).any():
        return step.all_lost(index, MAY_MOVE)
    return _picked(step, index, x, axis, first[(0,) * axis][..., 0])


def _picked(step: Step, index: int, x: Located, axis: int, indices: np.ndarray | None) -> Located:
    """Return a tensor whose one axis became the axes of some indices into it."""
    out = step.out(index)
    rank = len(out) - len(x.axes) + 1
    own = x.axes[axis]
    if indices is None or isinstance(own, Lost):
        free = [_by_data(step, own, size) for size in out[axis : axis + rank]]
        return located(x.origin, [*x.axes[:axis], *free, *x.axes[axis + 1 :]])
    picked = own.take(indices.reshape(-1) % len(own))
    if rank == 0:
        return located(x.origin + picked.offsets[0], [*x.axes[:axis], *x.axes[axis + 1 :]])
    parts = [picked] if rank == 1 else split(picked, indices.shape)
    new: Sequence[LocatedAxis] = parts if parts is not None else [step.lost(MAY_MOVE)] * rank
    return located(x.origin, [*x.axes[:axis], *new, *x.axes[axis + 1 :]])


def gather_elements(step: Step, index: int) -> Located:
    """Take the elements of constant indices that are the same for every other axis, of which it keeps the first."""
    x, indices, out = step.place(0), step.constant(1), step.out(index)
    if x is None:
        return step.all_lost(index, MAY_MOVE)
    axis = step.number("axis", 0) % len(x.axes)
    cut = [_taken(step, own, range(size)) if i != axis else own for i, (own, size) in
           enumerate(zip(x.axes, out, strict=True))]  # fmt: skip  # one expression
    if indices is None:
        cut[axis] = _by_data(step, x.axes[axis], out[axis])
        return located(x.origin, cut)
    rows = np.moveaxis(indices, axis, -1).reshape(-1, indices.shape[axis])
    same = len(rows) > 0 and not (rows != rows[0]).any()
    cut[axis] = (
        _taken(step, x.axes[axis], list(rows[0] % step.shape(0)[axis]))
        if same
        else _by_data(step, x.axes[axis], out[axis], MAY_MOVE)
    )
    return located(x.origin, cut)


def ordered(step: Step, index: int) -> Located:
    """Operators that order elements along one axis by their values."""
    x = step.place(0)
    if x is None or len(x.axes) != len(step.out(index)):
        return step.all_lost(index, _BY_DATA)
    axis = step.number("axis", -1) % len(x.axes)
    return x.with_axis(axis, _by_data(step, x.axes[axis], step.out(index)[axis]))


def reverse_sequence(step: Step, index: int) -> Located:
    """Turn round the first elements along one axis, as many for every image."""
    x, lengths = step.place(0), step.constant(1)
    if x is None:
        return step.all_lost(index, MAY_MOVE)
    axis = step.number("time_axis", 0) % len(x.axes)
    size = step.shape(0)[axis]
    if lengths is None or (lengths != lengths.flat[0]).any():
        return x.with_axis(axis, _by_data(step, x.axes[axis], size, "turns round a part of its own for each image"))
    count = int(lengths.flat[0])
    return x.with_axis(axis, _taken(step, x.axes[axis], [*reversed(range(count)), *range(count, size)]))


def pad(step: Step, index: int) -> Located:
    """Add elements at both ends, or cut them off; on a line they lie where the line goes on."""
    x, out = step.place(0), step.out(index)
    pads = step.ints("pads", 1)
    if x is None:
        return step.all_lost(index, MAY_MOVE)
    if pads is None:
        return _kept_where_whole(step, x, step.shape(0), out)
    chosen = [axis % len(out) for axis in (step.ints("axes", 3) or range(len(out)))]
    axes = list(x.axes)
    for number, axis in enumerate(chosen):
        axes[axis] = shifted(axes[axis], pads[number], out[axis])
    return located(x.origin, axes)


def shifted(axis: LocatedAxis, begin: int, count: int) -> LocatedAxis:
    """Return an axis of `count` elements that begins `begin` elements earlier."""
    if isinstance(axis, Lost):
        return axis
    on_line = axis.along_line(count, 1.0, float(-begin))
    if on_line is not None:
        return on_line
    indices = np.arange(count) - begin
    inside = (indices >= 0) & (indices < len(axis))
    return Elements(np.where(inside[:, None], axis.offsets[indices.clip(0, len(axis) - 1)], np.nan), axis.cell)


def center_crop_pad(step: Step, index: int) -> Located:
    """Cut or pad around the middle."""
    x, shape, out = step.place(0), step.shape(0), step.out(index)
    if x is None:
        return step.all_lost(index, MAY_MOVE)
    begins = [(b - a) // 2 if b > a else -((a - b) // 2) for a, b in zip(shape, out, strict=True)]
    pairs = zip(x.axes, begins, out, strict=True)
    return located(x.origin, [shifted(axis, begin, count) for axis, begin, count in pairs])


def tile(step: Step, index: int) -> Located:
    """Repeat whole axes."""
    x, out = step.place(0), step.out(index)
    if x is None or len(x.axes) != len(out):
        return step.all_lost(index, MAY_MOVE)
    pairs = zip(x.axes, out, strict=True)
    return located(x.origin, [axis if isinstance(axis, Lost) else axis.repeated(count) for axis, count in pairs])


def concat(step: Step, index: int) -> Located:
    """Join along one axis; what does not come from the image goes on where a line ends, and else shows no place."""
    axis = step.number("axis", 0) % len(step.out(index))
    inputs = [(step.place(i), step.shape(i)[axis]) for i in range(len(step.node.inputs))]
    return joined_along(step, inputs, axis)


def qlinear_concat(step: Step, index: int) -> Located:
    """The quantised Concat: scale and zero point, then (input, scale, zero point) for each input."""
    axis = step.number("axis", 0) % len(step.out(index))
    inputs = [(step.place(i), step.shape(i)[axis]) for i in range(2, len(step.node.inputs), 3)]
    return joined_along(step, inputs, axis)


def joined_along(step: Step, inputs: Sequence[tuple[Located | None, int]], axis: int) -> Located:
    """Join tensors along an axis: the others must agree, and where they do not, nothing can be said of them."""
    places = [place for place, _ in inputs if place is not None]
    if not places:
        return step.all_lost(0, MAY_MOVE)
    first = next((place for place in places if place.lost() is None), places[0])
    within = np.max([allowance(place) for place in places], axis=0)
    axes: list[LocatedAxis] = [_agreed(step, places, i, first, within) for i in range(len(first.axes))]
    axes[axis] = _joined_elements(inputs, axis, first)
    return located(first.origin, axes)


def _agreed(step: Step, places: Sequence[Located], index: int, first: Located, within: Array) -> LocatedAxis:
    own = first.axes[index]
    others = [place.axes[index] for place in places if isinstance(place.axes[index], Elements)]
    if isinstance(own, Lost):
        return own
    return own if all(same_axis(own, other, within) for other in others) else step.lost(JOINS)


def _joined_elements(inputs: Sequence[tuple[Located | None, int]], axis: int, first: Located) -> LocatedAxis:
    """Return the joined axis; a part that is lost shows no place, unless the axis leads somewhere: then all is lost."""
    own = [(unplaced(count) if place is None else place.axes[axis], place) for place, count in inputs]
    lost = next((part for part, _ in own if isinstance(part, Lost)), None)
    leads = any(isinstance(part, Elements) and not part.is_fixed for part, place in own if place is not None)
    if lost is not None and leads:
        return lost
    known = [part for part, _ in own if isinstance(part, Elements)]
    parts = [
        np.full((count, WAYS), np.nan) if isinstance(part, Lost) else part.offsets + _from(first, place)
        for (part, place), (_, count) in zip(own, inputs, strict=True)
    ]
    return _continued(Elements(np.concatenate(parts), np.max([np.zeros(WAYS), *(part.cell for part in known)], axis=0)))


def _from(first: Located, place: Located | None) -> Array:
    """Return the way from where one tensor begins to where another does."""
    return np.zeros(WAYS) if place is None or place.lost() is not None else np.asarray(place.origin - first.origin)


def _continued(axis: Elements) -> Elements:
    """Return elements that show no place as lying where the line of the others goes on."""
    shown = np.flatnonzero(np.isfinite(axis.offsets).all(axis=1))
    if len(shown) in (0, len(axis)):
        return axis
    part = Elements(axis.offsets[shown], axis.cell)
    if shown[-1] - shown[0] + 1 != len(shown) or part.step() is None:
        return axis
    on_line = part.along_line(len(axis), 1.0, float(-shown[0]))
    return on_line if on_line is not None else axis


def reduce_(step: Step, index: int) -> Located:
    """Take axes together into the middle of their elements."""
    x, out = step.place(0), step.out(index)
    if x is None:
        return step.all_lost(index, MAY_MOVE)
    rank = len(x.axes)
    is_index = has(step.node, Trait.INDEXES)
    given = [step.number("axis", 0)] if is_index else step.ints("axes", 1)
    if not given and step.number("noop_with_empty_axes", 0):
        return x
    gone = set(range(rank)) if not given else {axis % rank for axis in given}
    axes: list[LocatedAxis] = []
    origin = x.origin
    for i, axis in enumerate(x.axes):
        if i not in gone:
            axes.append(axis)
        elif isinstance(axis, Elements):
            origin = origin + np.nan_to_num(axis.mean)
            axes += [Elements(np.zeros((1, WAYS)), axis.cell * len(axis))] if len(out) == rank else []
        elif len(out) == rank:
            axes.append(fixed(1))
    return located(origin, axes)
