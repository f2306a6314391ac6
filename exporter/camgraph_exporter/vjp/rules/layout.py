"""Operators that move elements without changing them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from camgraph_exporter.errors import GradientError
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.registry import Cotangents, vjp


@vjp("Identity", "Dropout")
def identity(op: Backward, node: NodeView, g: ir.Value, *_masks: ir.Value | None) -> Cotangents:
    """dx = g; Dropout in inference mode is the identity."""
    return g


@vjp("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshape(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """dx = g in the shape of x; a gradient that is constant over trailing axes of size 1 afterwards stays un-expanded."""
    return op.reshaped(g, node.y, node.x)


@vjp("Transpose")
def transpose(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """dx = g with the inverse permutation."""
    perm = node.attr("perm") or list(range(node.rank))[::-1]
    inverse = np.argsort(perm)
    return op.Transpose(g, perm=[0, *(int(axis) + 1 for axis in inverse)])


@vjp("Concat")
def concat(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Each input gets its part of g."""
    axis = int(node.attr("axis")) % len(dims_of(node.y))
    parts: list[ir.Value | None] = []
    if not op.is_full(g, node.y, [axis]):
        return [g if node.needs(i) and dims_of(node.input(i))[axis] != 0 else None for i in range(node.num_inputs)]
    start = op.ints(0)
    for i in range(node.num_inputs):
        stop = op.Add(start, op.size_vector(node.input(i), axis))
        parts.append(op.Slice(g, start, stop, op.ints(axis + 1)) if node.needs(i) else None)
        start = stop
    return parts


@vjp("Split")
def split(op: Backward, node: NodeView, *gs: ir.Value | None) -> Cotangents:
    """dx = the cotangents of the parts, joined; parts that do not matter count as zero."""
    axis = int(node.attr("axis", 0)) % node.rank
    template = next(g for g in gs if g is not None)
    joined = [
        op.full(g, node.output(i)) if g is not None else op.zeros_like(node.output(i), template)
        for i, g in enumerate(gs)
    ]
    return op.Concat(*joined, axis=axis + 1)


@vjp("Slice")
def slice_(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """dx = g put back at its place, zeros elsewhere."""
    x, y = node.x, node.y
    rank = node.rank
    starts = node.input(1)
    axes = [axis % rank for axis in node.ints("axes", 3) or range(dims_of(starts)[0])]  # type: ignore[arg-type]
    steps = [int(step) for step in (node.const(4) if node.const(4) is not None else [1] * len(axes))]  # type: ignore[union-attr]
    g = op.full(g, y, axes)
    for i, (axis, step) in enumerate(zip(axes, steps, strict=True)):
        start = op.Slice(op.cast(starts, ir.DataType.INT64), op.ints(i), op.ints(i + 1))
        g = _put_back(op, g, x, axis, start, step)
    return g


def _put_back(op: Backward, g: ir.Value, x: ir.Value, axis: int, start: ir.Value, step: int) -> ir.Value:
    """Put the elements of `g` at start, start + step, ... of an axis of `x` (int64 [1] start, as Slice reads it)."""
    size = op.size_vector(x, axis)
    place = axis + 1
    # Slice counts negative starts from the end, then clamps; a backward step may start at the last element only.
    start = op.Where(op.Less(start, 0), op.Add(start, size), start)
    start = op.Min(op.Max(start, op.ints(0)), op.Sub(size, op.ints(1)) if step < 0 else size)
    length = op.Slice(op.Shape(g), op.ints(place), op.ints(place + 1)) if not _is_fixed(g, place) else op.ints(int(dims_of(g)[place]))
    if step < 0:
        g = op.Slice(g, op.ints(-1), op.ints(-(2**31)), op.ints(place), op.ints(-1))
        start = op.Add(start, op.Mul(op.Sub(length, op.ints(1)), op.ints(step)))
    stride = abs(step)
    if stride > 1:
        g, length = _spread(op, g, place, stride, length)
    return op.pad_axis(g, place, start, op.Sub(op.Sub(size, start), length))


def _spread(op: Backward, g: ir.Value, place: int, stride: int, length: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Put `stride - 1` zeros behind each element of an axis; the zeros behind the last one are cut off where they would stick out."""
    dims = dims_of(g)
    g = op.Unsqueeze(g, op.ints(place + 1))
    g = op.pad_axis(g, place + 1, op.ints(0), op.ints(stride - 1))
    shape = [op.ints(0) if i < place else op.ints(-1) if i == place else op.ints(int(d)) if isinstance(d, int) else op.size_vector(g, i + 1) for i, d in enumerate(dims)]
    return op.Reshape(g, op.join(shape)), op.Mul(length, op.ints(stride))


def _is_fixed(g: ir.Value, place: int) -> bool:
    return isinstance(dims_of(g)[place], int)


@vjp("Pad")
def pad(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """dx = g without the border: padding by the negated pads (constant mode)."""
    mode = node.attr("mode", "constant")
    if mode != "constant":
        raise GradientError(f"Pad node {node.name!r} has the mode {mode!r}, which has no derivative here; choose a layer behind it with --layer.")
    axes = node.ints("axes", 3)
    axes = [axis % node.rank for axis in axes] if axes is not None else list(range(node.rank))
    pads = node.const(1)
    if pads is not None:
        padded = [axis for i, axis in enumerate(axes) if pads[i] or pads[i + len(axes)]]
        g = op.full(g, node.y, padded)
        begin, end = [0] * (node.rank + 1), [0] * (node.rank + 1)
        for i, axis in enumerate(axes):
            begin[axis + 1], end[axis + 1] = -int(pads[i]), -int(pads[i + len(axes)])
        return op.Pad(g, op.ints(*begin, *end)) if padded else g
    raise GradientError(f"Pad node {node.name!r} has pads that depend on the image; choose a layer behind it with --layer.")
