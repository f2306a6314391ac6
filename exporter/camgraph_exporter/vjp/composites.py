"""Pairs of nodes whose derivative together is simpler than one after the other."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir

from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.backward import Backward


def gated_slope(op: Backward, node: ir.Node, wrt: Collection[ir.Value]) -> tuple[ir.Value, ir.Value] | None:
    """Return x and dy/dx of y = x s(x), as exporters write SiLU and hard-swish; None for any other node.

    With s = sigmoid(x) the slope is s + y (1 - s), with a hard sigmoid s + alpha x where 0 < s < 1. That is one pass
    over the map for each target instead of three. Where the gradient of s itself is wanted, or other nodes read s, the
    two nodes are differentiated by themselves.
    """
    if node.op_type != "Mul" or node.domain:
        return None
    for x, s in (node.inputs, node.inputs[::-1]):
        gate = s.producer() if s is not None else None
        if x is None or s is None or gate is None or gate.inputs[0] is not x:
            continue
        if s in wrt or len(s.uses()) != 1 or s.is_graph_output() or gate.op_type not in {"Sigmoid", "HardSigmoid"}:
            return None
        value = op.residual(s)
        if gate.op_type == "Sigmoid":
            return x, op.Add(value, op.Mul(op.residual(node.outputs[0]), op.Sub(1, value)))
        alpha = NodeView(gate, op).attr_float("alpha", 0.2)
        inside = op.And(op.above_zero(value), op.Less(value, 1))
        return x, op.Add(value, op.gate(op.Mul(op.residual(x), alpha), inside))
    return None
