"""Reductions over axes, and running sums."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from camgraph_exporter.errors import LATER_LAYER, GradientError
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.registry import Cotangents, vjp


@vjp("ReduceSum")
def reduce_sum(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g, constant along the reduced axes: it stays un-expanded."""
    return restore_axes(op, node, g, reduced_axes(node))


@vjp("ReduceMean")
def reduce_mean(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g / (elements reduced), constant along the reduced axes: it stays un-expanded."""
    axes = reduced_axes(node)
    g = restore_axes(op, node, g, axes)
    return op.Div(g, op.number(op.size_of(node.x, axes), g)) if axes else g


@vjp("ReduceMax", "ReduceMin")
def reduce_extremum(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g at the largest (smallest) element; elements that tie share it evenly."""
    axes = reduced_axes(node)
    chosen = op.indicator(op.Equal(node.x, _restored_output(op, node, axes)), g)
    share = op.Div(chosen, op.sum(chosen, axes, keepdims=True))
    return op.Mul(restore_axes(op, node, g, axes), share)


@vjp("ReduceProd")
def reduce_prod(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g times the product of all other elements, which is not zero if x itself is the only zero."""
    x, axes = node.x, reduced_axes(node)
    zero = op.indicator(op.Equal(x, 0), x)
    filled = op.Add(x, zero)
    others = op.Div(op.reduce("ReduceProd", filled, axes, keepdims=True), filled)
    other_zeros = op.Sub(op.sum(zero, axes, keepdims=True), zero)
    return op.Mul(restore_axes(op, node, g, axes), op.gate(others, op.Equal(other_zeros, 0)))


@vjp("ReduceL1")
def reduce_l1(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g sign(x)."""
    return op.Mul(restore_axes(op, node, g, reduced_axes(node)), op.Sign(node.x))


@vjp("ReduceL2")
def reduce_l2(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g x / y; zero where all elements are zero."""
    axes = reduced_axes(node)
    y = _restored_output(op, node, axes)
    safe = op.Add(y, op.indicator(op.Equal(y, 0), y))
    return op.Mul(op.Div(restore_axes(op, node, g, axes), safe), node.x)


@vjp("ReduceSumSquare")
def reduce_sum_square(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = 2 g x."""
    return op.Mul(restore_axes(op, node, g, reduced_axes(node)), op.Mul(node.x, 2))


@vjp("ReduceLogSum")
def reduce_log_sum(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g / sum(x) = g exp(-y), constant along the reduced axes: it stays un-expanded."""
    return restore_axes(op, node, op.Mul(g, op.Exp(op.Neg(node.y))), reduced_axes(node))


@vjp("ReduceLogSumExp")
def reduce_log_sum_exp(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g exp(x - y)."""
    axes = reduced_axes(node)
    return op.Mul(restore_axes(op, node, g, axes), op.Exp(op.Sub(node.x, _restored_output(op, node, axes))))


@vjp("CumSum")
def cum_sum(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = the running sum of g from the other end."""
    known = node.const(1)
    if known is None:
        raise _at_run_time(node, "axis")
    axis = int(known.item()) % node.rank
    reverse = 0 if node.attr_flag("reverse") else 1
    place = op.constant(np.asarray(axis + 1, dtype=np.int64))
    return op.CumSum(op.full(g, node.y, [axis]), place, exclusive=node.attr_int("exclusive", 0), reverse=reverse)


def reduced_axes(node: NodeView) -> list[int]:
    """Return the reduced axes as non-negative numbers: an attribute or a constant input, by default all.

    Raises:
        GradientError: the axes are computed from the image.

    """
    axes = node.ints("axes", 1)
    if axes:
        return sorted(axis % node.rank for axis in axes)
    if axes is None and node.optional(1) is not None:
        raise _at_run_time(node, "axes")
    return [] if node.attr_flag("noop_with_empty_axes") else list(range(node.rank))


def restore_axes(op: Backward, node: NodeView, value: ir.Value, axes: list[int], *, targets: int = 1) -> ir.Value:
    """Put reduced axes back with size 1, into a cotangent (`targets=1`) or a forward value (`targets=0`)."""
    if node.attr_flag("keepdims", default=True) or not axes:
        return value
    return op.Unsqueeze(value, op.ints(*(axis + targets for axis in axes)))


def _restored_output(op: Backward, node: NodeView, axes: list[int]) -> ir.Value:
    return restore_axes(op, node, node.y, axes, targets=0)


def _at_run_time(node: NodeView, what: str) -> GradientError:
    return GradientError(
        f"The {what} of {node.op_type} node {node.name!r} depends on the image, so its derivative cannot be written "
        f"down at export time. {LATER_LAYER}."
    )
