"""What a node reads, in a model that is a protobuf message. It needs nothing of the exporter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from onnx import GraphProto, NodeProto


def names_read_by(node: NodeProto) -> Iterator[str]:
    """Yield the names that a node reads, including those that its subgraphs take from outside."""
    yield from node.input
    for attribute in node.attribute:
        for graph in [attribute.g] if attribute.HasField("g") else attribute.graphs:
            yield from _free_names(graph)


def _free_names(graph: GraphProto) -> Iterable[str]:
    own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        yield from (name for name in names_read_by(node) if name not in own)
        own.update(node.output)
    yield from (value.name for value in graph.output if value.name not in own)
