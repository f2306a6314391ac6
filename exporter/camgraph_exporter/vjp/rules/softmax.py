"""Softmax and its logarithm inside a network; those at the end are stripped from the score path."""

from __future__ import annotations

import onnx_ir as ir

from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.registry import Cotangents, vjp


@vjp("Softmax")
def softmax(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = y (g - sum(g y))."""
    axis = node.attr_int("axis", -1) % node.rank + 1
    weighted = op.Mul(g, node.y)
    return op.Sub(weighted, op.Mul(op.sum(weighted, [axis], keepdims=True), node.y))


@vjp("LogSoftmax")
def log_softmax(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g - exp(y) sum(g)."""
    axis = node.attr_int("axis", -1) % node.rank
    full = op.full(g, node.y, [axis])
    return op.Sub(full, op.Mul(op.sum(full, [axis + 1], keepdims=True), op.Exp(node.y)))
