"""What lies between target layers and a score: the nodes and values that a gradient of the score can reach."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx_ir as ir

from camgraph_exporter.graph.element_types import REAL, SMALL_INTEGERS
from camgraph_exporter.graph.traits import Trait, has, is_stop
from camgraph_exporter.graph.walk import needed_for, reads


class GradientPath:
    """The nodes and values between the layers and the score, in topological order."""

    def __init__(self, graph: Iterable[ir.Node], wrt: Iterable[ir.Value], scores: Iterable[ir.Value]) -> None:
        nodes, self._scores = list(graph), set(scores)
        reached = set(wrt)
        for node in nodes:
            inputs = [value for value in reads(node) if value in reached]
            if inputs and not is_stop(node):
                reached.update(_carriers(node, inputs))
        self.values = reached & needed_for(nodes, self._scores)
        self.nodes = [
            node
            for node in nodes
            if any(value in self.values for value in node.outputs)
            and any(value in self.values for value in reads(node))
        ]

    def with_gradient(self) -> set[ir.Value]:
        """Return the values on the path that a gradient of a score flows to, the scores included."""
        found = self._scores & self.values
        for node in reversed(self.nodes):
            if not is_stop(node):
                inputs = [value for value in reads(node) if value in self.values]
                if any(value in found for value in _carriers(node, inputs)):
                    found.update(inputs)
        return found

    def stops(self) -> list[ir.Node]:
        """Return the nodes at which a gradient of a score ends before it is at the start of the path."""
        found = self.with_gradient()
        return [
            node
            for node in self.nodes
            if any(value in found for value in node.outputs)
            and not any(value in found for value in reads(node) if value in self.values)
        ]


def _carriers(node: ir.Node, inputs: Sequence[ir.Value]) -> list[ir.Value]:
    """Return the outputs that carry a gradient: real numbers, small integers that stand for them, sums of products."""
    if node.op_type == "DynamicQuantizeLinear":
        # Its scale and zero point follow the input's range; straight-through estimation holds them.
        return [node.outputs[0]]
    carrying = set(REAL)
    if node.op_type != "Cast":
        carrying |= SMALL_INTEGERS
    # Sums of products of integers stand for real numbers; every other int32 is a count or an index.
    if has(node, Trait.ACCUMULATES) or any(value.dtype == ir.DataType.INT32 for value in inputs):
        carrying.add(ir.DataType.INT32)
    return [value for value in node.outputs if value.dtype in carrying]
