"""Operators that put elements at indices: their gradients pick them from there."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from camgraph_exporter.errors import LATER_LAYER, GradientError
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.backward import Backward, dtype_of
from camgraph_exporter.vjp.registry import NO_FLOW, Cotangents, vjp
from camgraph_exporter.vjp.scatter import for_each_target, targets_first, targets_last


@vjp("ScatterElements")
def scatter_elements(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dupdates = g at the indices; dx = g, without what was overwritten."""
    adds, axis = _adds(node), node.attr_int("axis", 0) % node.rank
    indices, updates = node.input(1), node.input(2)
    dx = du = None
    if node.needs(0):
        dx = g if adds else op.Mul(g, op.ScatterElements(*_kept(op, node, g), axis=axis))
    if node.needs(2):
        du = op.GatherElements(op.full(g, node.y), for_each_target(op, indices), axis=axis + 1)
        du.shape = ir.Shape([dims_of(du)[0], *dims_of(updates)])
    return dx, None, du


@vjp("ScatterND")
def scatter_nd(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dupdates = g at the index tuples; dx = g, without what was overwritten."""
    adds = _adds(node)
    dx = du = None
    if node.needs(0):
        dx = g if adds else op.Mul(g, op.ScatterND(*_kept(op, node, g)))
    if node.needs(2):
        du = targets_first(op, op.GatherND(targets_last(op, op.full(g, node.y)), node.input(1)))
    return dx, None, du


def _adds(node: NodeView) -> bool:
    """Tell whether updates are added to what is there, rather than written over it."""
    reduction = node.attr_text("reduction", "none")
    if reduction not in {"none", "add"}:
        raise GradientError(
            f"{node.op_type} node {node.name!r} has the reduction {reduction!r}, and there is no derivative for that. "
            f"{LATER_LAYER}."
        )
    return bool(reduction == "add")


def _kept(op: Backward, node: NodeView, g: ir.Value) -> tuple[ir.Value, ir.Value, ir.Value]:
    """Return what to scatter for a mask of the elements that are kept: zeros at the indices of a map of ones."""
    dtype = dtype_of(g).numpy()
    ones = op.ConstantOfShape(op.shape_of(node.x), value=ir.tensor(np.ones(1, dtype=dtype)))
    ones.shape = node.x.shape
    zeros = op.ConstantOfShape(op.shape_of(node.input(2)), value=ir.tensor(np.zeros(1, dtype=dtype)))
    zeros.shape = node.input(2).shape
    return ones, node.input(1), zeros


@vjp("TopK")
def top_k(op: Backward, node: NodeView, g: ir.Value, _indices: ir.Value | None = None) -> Cotangents:
    """Dx = g at the chosen places, zero elsewhere. No place is chosen twice: a ScatterElements without reduction."""
    axis = node.attr_int("axis", -1) % node.rank
    indices = for_each_target(op, node.output(1))
    return op.ScatterElements(op.zeros_like(node.x, g), indices, op.full(g, node.y), axis=axis + 1)


@vjp("OneHot")
def one_hot(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dvalues = [g summed where cold, g summed where hot]; the indices have no derivative, the result is a step."""
    if not node.needs(2):
        return NO_FLOW
    unit = op.constant(np.asarray([0, 1], dtype=dtype_of(g).numpy()))
    hot = op.OneHot(node.input(0), node.input(1), unit, axis=node.attr_int("axis", -1))
    hot.shape = node.y.shape
    axes = range(len(dims_of(node.y)))
    shares = [op.sum_over(op.Mul(g, mask), node.y, axes) for mask in (op.Sub(1, hot), hot)]
    flat = [op.Reshape(share, op.ints(0, 1)) for share in shares]
    return NO_FLOW, None, op.Concat(*flat, axis=1)
