"""Activations: unary, element-wise. Each function returns dy/dx; masks come from the output where that keeps Conv + activation fused."""

from __future__ import annotations

import onnx_ir as ir

from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.registry import Cotangents, elementwise, vjp


@vjp("Relu")
def relu(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """dx = g where y > 0."""
    return op.gate(g, op.Greater(node.y, 0))


@vjp("Clip")
def clip(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """dx = g where min < y < max: exclusive at the bounds, as ReLU6 has it."""
    low, high = node.optional(1), node.optional(2)
    inside = [op.Greater(node.y, low)] if low is not None else []
    inside += [op.Less(node.y, high)] if high is not None else []
    if not inside:
        return g
    return op.gate(g, inside[0] if len(inside) == 1 else op.And(*inside))


@elementwise("Sigmoid")
def sigmoid(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = y (1 - y)."""
    return op.Mul(node.y, op.Sub(1, node.y))


@elementwise("Tanh")
def tanh(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = 1 - y^2."""
    return op.Sub(1, op.Mul(node.y, node.y))


@vjp("HardSigmoid")
def hard_sigmoid(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """dx = alpha g where 0 < y < 1."""
    return op.gate(op.Mul(g, float(node.attr("alpha", 0.2))), op.And(op.Greater(node.y, 0), op.Less(node.y, 1)))


@elementwise("HardSwish", opset=14)
def hard_swish(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = (2 x + 3) / 6 where |x| < 3, 1 above, 0 below."""
    x = node.x
    slope = op.Add(op.Mul(x, 1 / 3), 0.5)
    assert x.dtype is not None
    dtype = int(x.dtype)
    middle = op.Cast(op.And(op.Greater(x, -3), op.Less(x, 3)), to=dtype)
    return op.Add(op.Mul(slope, middle), op.Cast(op.Not(op.Less(x, 3)), to=dtype))
