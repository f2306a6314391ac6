"""Operators that cut a tensor along an axis and join the parts again."""

from __future__ import annotations

import onnx_ir as ir

from camgraph_exporter.errors import LATER_LAYER, GradientError
from camgraph_exporter.graph.dims import dims_of, unknown
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.axes import reshape_to, sizes_of, slice_axis
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.registry import NO_FLOW, Cotangent, Cotangents, vjp


@vjp("Concat")
def concat(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Each input gets its part of g."""
    axis = node.attr_int("axis") % len(dims_of(node.y))
    if node.num_inputs == 1 or not op.is_full(g, node.y, [axis]):
        return [g if dims_of(node.input(i))[axis] != 0 else NO_FLOW for i in range(node.num_inputs)]
    parts: list[Cotangent] = []
    start = op.ints(0)
    for i in range(node.num_inputs):
        stop = op.Add(start, op.size_vector(node.input(i), axis))
        parts.append(slice_axis(op, g, axis + 1, start, stop) if node.needs(i) else None)
        start = stop
    return parts


@vjp("Split")
def split(op: Backward, node: NodeView, *gs: ir.Value | None) -> Cotangents:
    """Dx = the cotangents of the parts, joined; parts that do not matter count as zero."""
    axis = node.attr_int("axis", 0) % node.rank
    used = [(i, g) for i, g in enumerate(gs) if g is not None]
    first, last = used[0][0], used[-1][0]
    # Axes on which all parts are un-expanded stay so, unless zeros come in between.
    whole = len(used) <= last - first
    axes = [i for i in range(node.rank) if whole or i == axis or any(dims_of(g)[i + 1] != 1 for _, g in used)]
    parts = [
        op.zeros_like(node.output(i), used[0][1]) if g is None else op.full(g, node.output(i), axes)
        for i, g in enumerate(gs[first : last + 1], start=first)
    ]
    joined = op.Concat(*parts, axis=axis + 1) if len(parts) > 1 else parts[0]
    before = _total_size(op, node, range(first), axis)
    after = _total_size(op, node, range(last + 1, len(gs)), axis)
    return op.pad_axis(joined, axis + 1, before, after)


def _total_size(op: Backward, node: NodeView, outputs: range, axis: int) -> ir.Value:
    total = op.ints(0)
    for i in outputs:
        total = op.Add(total, op.size_vector(node.output(i), axis))
    return total


@vjp("Slice")
def slice_(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g put back at its place, zeros elsewhere."""
    x, y = node.x, node.y
    starts = op.cast(node.input(1), ir.DataType.INT64)
    axes, steps = _constant_list(node, 3), _constant_list(node, 4)
    axes = [axis % node.rank for axis in (axes if axes is not None else range(int(dims_of(starts)[0])))]
    steps = steps if steps is not None else [1] * len(axes)
    g = op.full(g, y, axes)
    for i, (axis, step) in enumerate(zip(axes, steps, strict=True)):
        start = op.Slice(starts, op.ints(i), op.ints(i + 1))
        g = _put_back(op, g, x, axis, start, step)
    return g


def _constant_list(node: NodeView, index: int) -> list[int] | None:
    """Return the axes or steps, None where they were left out."""
    if node.optional(index) is None:
        return None
    known = node.const(index)
    if known is None:
        raise GradientError(
            f"Slice node {node.name!r} computes its {'axes' if index == 3 else 'steps'} at run time, and there is no "
            f"derivative for that. {LATER_LAYER}."
        )
    return [int(number) for number in known]


def _put_back(op: Backward, g: ir.Value, x: ir.Value, axis: int, start: ir.Value, step: int) -> ir.Value:
    """Put the elements of `g` at start, start + step, ... of an axis of `x` (int64 [1] start, as Slice reads it)."""
    size, length, place = op.size_vector(x, axis), op.size_vector(g, axis + 1), axis + 1
    # Slice counts negative starts from the end, then clamps; a backward step may start at the last element only.
    start = op.Where(op.Less(start, 0), op.Add(start, size), start)
    start = op.Min(op.Max(start, op.ints(0)), op.Sub(size, op.ints(1)) if step < 0 else size)
    if step < 0:
        g = op.Slice(g, op.ints(-1), op.ints(-(2**31)), op.ints(place), op.ints(-1))
        start = op.Add(start, op.Mul(op.Sub(length, op.ints(1)), op.ints(step)))
    stride = abs(step)
    if stride > 1:
        g, length = _spread(op, g, place, stride), op.Mul(length, op.ints(stride))
    return op.pad_axis(g, place, start, op.Sub(op.Sub(size, start), length))


def _spread(op: Backward, g: ir.Value, place: int, stride: int) -> ir.Value:
    """Put `stride - 1` zeros after each element of an axis; the caller cuts those that stick out at the end.

    An element is all that lies after the axis, a row of a matrix: runtimes pad few axes more readily than many.
    """
    dims = dims_of(g)
    length = dims[place] * stride if isinstance(dims[place], int) else f"{dims[place]}*{stride}"
    after = range(place + 1, len(dims))
    element = op.size_of(g, after)
    size = op.ints(element) if isinstance(element, int) else op.Unsqueeze(element, op.ints(0))
    rows = reshape_to(op, g, [op.ints(-1), size], (unknown(), element if isinstance(element, int) else unknown()))
    spread = op.pad_axis(rows, 1, op.ints(0), op.Mul(size, op.ints(stride - 1)))
    sizes = [op.targets, *sizes_of(op, g, range(1, place)), op.ints(-1), *sizes_of(op, g, after)]
    return reshape_to(op, spread, sizes, (*dims[:place], length, *dims[place + 1 :]))
