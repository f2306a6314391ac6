"""Reductions over axes."""

from __future__ import annotations

import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.registry import Cotangents, vjp


@vjp("ReduceMean")
def reduce_mean(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """dx = g / (elements reduced), constant along the reduced axes: it stays un-expanded."""
    axes = reduced_axes(node)
    g = restore_axes(op, node, g, axes)
    return op.Div(g, op.number(op.size_of(node.x, axes), g)) if axes else g


@vjp("ReduceSum")
def reduce_sum(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """dx = g, constant along the reduced axes: it stays un-expanded."""
    return restore_axes(op, node, g, reduced_axes(node))


def reduced_axes(node: NodeView) -> list[int]:
    """Return the reduced axes as non-negative numbers: an attribute or a constant input, by default all."""
    rank = len(dims_of(node.x))
    axes = node.ints("axes", 1)
    if axes:
        return sorted(axis % rank for axis in axes)
    return [] if node.attr("noop_with_empty_axes", 0) else list(range(rank))


def restore_axes(op: Backward, node: NodeView, value: ir.Value, axes: list[int], *, targets: int = 1) -> ir.Value:
    """Put reduced axes back with size 1, into a cotangent (`targets=1`) or a forward value (`targets=0`)."""
    if node.attr("keepdims", 1) or not axes:
        return value
    return op.Unsqueeze(value, op.ints(*(axis + targets for axis in axes)))
