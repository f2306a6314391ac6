"""Padding: what was put around the input is cut off again, and copies of its elements are added up."""

from __future__ import annotations

import onnx_ir as ir

from camgraph_exporter.errors import LATER_LAYER, GradientError
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.axes import slice_axis
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.crop import cut_by_convolving_less
from camgraph_exporter.vjp.registry import Cotangents, vjp


@vjp("Pad")
def pad(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g without the border; the border's cotangents go to the elements that it repeats (edge, reflect, wrap)."""
    axes, pads = _axes(node), node.input(1)
    mode = node.attr_text("mode", "constant")
    known = node.const(1)
    if known is not None and mode == "constant":
        begin, end = ([0] * node.rank for _ in range(2))
        for i, axis in enumerate(axes):
            begin[axis], end[axis] = int(known[i]), int(known[i + len(axes)])
        cut = cut_by_convolving_less(op, g, node.x, begin, end)
        if cut is not None:
            return cut
    for i, axis in enumerate(axes):
        before, after = (op.Slice(pads, op.ints(j), op.ints(j + 1)) for j in (i, i + len(axes)))
        if known is not None and not known[i] and not known[i + len(axes)]:
            continue
        g = op.full(g, node.y, [axis])
        g = (
            _cut(op, g, axis + 1, before, after)
            if mode == "constant"
            else _fold(op, node, g, axis, before, after, mode)
        )
    return g


def _axes(node: NodeView) -> list[int]:
    if node.optional(3) is None:
        return list(range(node.rank))
    known = node.const(3)
    if known is None:
        raise GradientError(
            f"{node.op_type} node {node.name!r} computes its axes at run time, and there is no derivative for that. "
            f"{LATER_LAYER}."
        )
    return [int(axis) % node.rank for axis in known]


def _cut(op: Backward, g: ir.Value, place: int, before: ir.Value, after: ir.Value) -> ir.Value:
    return op.pad_axis(g, place, op.Sub(op.ints(0), before), op.Sub(op.ints(0), after))


def _fold(
    op: Backward, node: NodeView, g: ir.Value, axis: int, before: ir.Value, after: ir.Value, mode: str
) -> ir.Value:
    """Add the borders of one axis to the elements that they are copies of.

    Negative pads cut the input first; `size` is what remains, to which the positive ones are applied. onnxruntime
    allows reflections up to size - 1, so that no element is reflected twice.
    """
    zero, place = op.ints(0), axis + 1
    cut_before, cut_after = op.Min(before, zero), op.Min(after, zero)
    before, after = op.Max(before, zero), op.Max(after, zero)
    size = op.Add(op.size_vector(node.x, axis), op.Add(cut_before, cut_after))
    total = op.Add(op.Add(before, after), size)
    _check_reach(op, node, axis, size, before, after, mode)
    core_end = op.Add(before, size)
    result = slice_axis(op, g, place, before, core_end)
    for start, stop, border, at_start in ((zero, before, before, True), (core_end, total, after, False)):
        if _is_zero(op, border):
            continue
        part = slice_axis(op, g, place, start, stop)
        first, length = _target(op, mode, size, border, at_start=at_start)
        if mode == "edge":
            part = op.sum(part, [place], keepdims=True)
        elif mode == "reflect":
            part = op.Slice(part, op.ints(-1), op.ints(-(2**31)), op.ints(place), op.ints(-1))
        result = op.Add(result, op.pad_axis(part, place, first, op.Sub(size, op.Add(first, length))))
    return op.pad_axis(result, place, op.Sub(zero, cut_before), op.Sub(zero, cut_after))


def _target(op: Backward, mode: str, size: ir.Value, border: ir.Value, *, at_start: bool) -> tuple[ir.Value, ir.Value]:
    """Return where in the input a border of int64 [1] elements comes from: the first element and how many."""
    one = op.ints(1)
    if mode == "edge":
        return (op.ints(0) if at_start else op.Sub(size, one)), one
    if mode == "reflect":
        return (one if at_start else op.Sub(op.Sub(size, one), border)), border
    return (op.Sub(size, border) if at_start else op.ints(0)), border


def _check_reach(
    op: Backward, node: NodeView, axis: int, size: ir.Value, before: ir.Value, after: ir.Value, mode: str
) -> None:
    """Refuse borders that go round the input more than once (edge repeats one element, however often)."""
    length, widths = op.known(size), [op.known(before), op.known(after)]
    if mode not in {"edge", "reflect", "wrap"}:
        raise GradientError(f"Pad node {node.name!r} has the mode {mode!r}, which the standard does not know.")
    if mode == "edge" or length is None:
        return
    limit = int(length[0]) - (1 if mode == "reflect" else 0)
    if any(width is not None and int(width[0]) > limit for width in widths):
        raise GradientError(
            f"Pad node {node.name!r} pads axis {axis} by more elements than the {limit} that mode {mode!r} copies from "
            f"it once, and there is no derivative for that. {LATER_LAYER}."
        )


def _is_zero(op: Backward, count: ir.Value) -> bool:
    known = op.known(count)
    return known is not None and not known.any()


@vjp("CenterCropPad")
def center_crop_pad(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g padded where x was cropped and cropped where it was padded."""
    for axis in (axis % node.rank for axis in node.attr_ints("axes", range(node.rank))):
        size, out = op.size_vector(node.x, axis), op.size_vector(node.y, axis)
        if dims_of(node.x)[axis] == dims_of(node.y)[axis]:
            continue
        zero, two = op.ints(0), op.ints(2)
        # Both halves are rounded towards zero: the odd element is cropped or padded at the end.
        cropped, padded = (op.Div(op.Max(op.Sub(a, b), zero), two) for a, b in ((size, out), (out, size)))
        before = op.Sub(cropped, padded)
        after = op.Sub(op.Sub(size, out), before)
        g = op.pad_axis(op.full(g, node.y, [axis]), axis + 1, before, after)
    return g
