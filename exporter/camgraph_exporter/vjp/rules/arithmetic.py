"""Element-wise arithmetic with NumPy broadcasting. The driver sums over the broadcast axes."""

from __future__ import annotations

import onnx_ir as ir

from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.registry import Cotangents, vjp


@vjp("Add", broadcasts=True)
def add(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """da = g, db = g."""
    return g, g


@vjp("Sub", broadcasts=True)
def sub(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """da = g, db = -g."""
    return g, op.Neg(g) if node.needs(1) else None


@vjp("Mul", broadcasts=True)
def mul(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """da = g b, db = g a."""
    a, b = node.input(0), node.input(1)
    return op.Mul(g, b) if node.needs(0) else None, op.Mul(g, a) if node.needs(1) else None


@vjp("Div", broadcasts=True)
def div(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """da = g / b, db = -g y / b."""
    b = node.input(1)
    da = op.Div(g, b)
    return da, op.Neg(op.Mul(da, node.y)) if node.needs(1) else None
