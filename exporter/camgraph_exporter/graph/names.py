"""Nodes in sentences."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir


def name_nodes(nodes: Iterable[ir.Node]) -> str:
    """Name nodes as the subject of a sentence: `Node 'a' (Dropout) is`, `Nodes 'a' (Dropout), 'b' (Relu) are`."""
    named = [f"{node.name or node.outputs[0].name!r} ({node.op_type})" for node in nodes]
    return f"Node {named[0]} is" if len(named) == 1 else f"Nodes {', '.join(named)} are"
