"""Changes of the element type."""

from __future__ import annotations

import onnx_ir as ir

from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.backward import Backward, dtype_of
from camgraph_exporter.vjp.registry import Cotangents, vjp


@vjp("Cast", "CastLike")
def cast(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """dx = g in the element type of x; a cast of real numbers to integers rounds, so nothing passes it."""
    source, result = dtype_of(node.x), dtype_of(node.y)
    if not result.is_floating_point():
        return None if source.is_floating_point() else g
    return op.cast(g, source) if source.is_floating_point() else g
