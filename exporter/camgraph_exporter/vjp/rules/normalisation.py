"""Normalisation layers in inference mode."""

from __future__ import annotations

import onnx_ir as ir

from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.errors import GradientError
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.registry import Cotangents, refuse_inputs, vjp


@vjp("BatchNormalization")
def batch_normalization(op: Backward, node: NodeView, g: ir.Value, *_running: ir.Value | None) -> Cotangents:
    """dx = g scale / sqrt(var + eps): with running statistics it is a linear map a channel."""
    if node.attr("training_mode", 0):
        raise GradientError(f"BatchNormalization node {node.name!r} is in training mode; export the model in evaluation mode.")
    refuse_inputs(node, 1, 2, 3, 4)
    scale, variance = node.input(1), node.input(4)
    slope = op.Div(scale, op.Sqrt(op.Add(variance, float(node.attr("epsilon", 1e-5)))))
    return op.Mul(g, op.Reshape(slope, op.ints(-1, *[1] * (node.rank - 2))))
