"""Changes of the element type."""

from __future__ import annotations

import onnx_ir as ir

from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.backward import Backward, dtype_of
from camgraph_exporter.vjp.registry import NO_FLOW, Cotangents, vjp


@vjp("Cast", "CastLike")
def cast(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g in the element type of x; a cast of real numbers to integers rounds, so nothing passes it.

    What `CastLike` is given for its type alone gets nothing.
    """
    source, result = dtype_of(node.x), dtype_of(node.y)
    if source.is_floating_point() and not result.is_floating_point():
        return NO_FLOW, NO_FLOW
    return op.cast(g, source) if source.is_floating_point() else g, NO_FLOW
