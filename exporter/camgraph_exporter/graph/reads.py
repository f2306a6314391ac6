"""What a node depends on, its subgraphs included."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir


def reads(node: ir.Node) -> list[ir.Value]:
    """Return the inputs of a node and the values of the graph around it that its subgraphs take, each once."""
    values = [value for value in node.inputs if value is not None]
    for subgraph in _subgraphs(node):
        values += _captured(subgraph)
    return list(dict.fromkeys(values))


def _subgraphs(node: ir.Node) -> Iterator[ir.Graph]:
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def _captured(subgraph: ir.Graph) -> list[ir.Value]:
    own = {*subgraph.inputs, *subgraph.initializers.values()}
    own.update(value for node in subgraph for value in node.outputs)
    used = [value for node in subgraph for value in reads(node)]
    return [value for value in (*used, *subgraph.outputs) if value not in own]
