"""Appends standard operators in the place of a fused node."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from camgraph_exporter.graph.constants import add_constant


class Writer:
    """Appends standard operators before a fused node, under names that begin with that of its first output."""

    def __init__(self, model: ir.Model, node: ir.Node) -> None:
        self.graph, self.node = model.graph, node
        self.opset = int(model.opset_imports[""])
        self.name = str(node.outputs[0].name)
        self._count = 0

    def __call__(self, op_type: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        """Append a node and return its first output."""
        name = f"camgraph/prepared/{self.name}/{self._count}/{op_type}"
        self._count += 1
        made = ir.node(op_type, inputs, attributes, name=name)
        made.outputs[0].name = f"{name}_output"
        self.graph.insert_before(self.node, made)
        return made.outputs[0]

    def number(self, number: float) -> ir.Value:
        """Return a scalar of the node's element type."""
        dtype = self.node.outputs[0].dtype or ir.DataType.FLOAT
        return add_constant(self.graph, f"{self.name}_number", np.asarray(number, dtype.numpy()))

    def attribute(self, name: str, default: Any) -> Any:
        """Return the value of one of the node's attributes."""
        return self.node.attributes[name].value if name in self.node.attributes else default

    def input(self, index: int) -> ir.Value | None:
        """Return an input of the node, None where it is left out."""
        return self.node.inputs[index] if index < len(self.node.inputs) else None

    def numbers(self, *numbers: int) -> ir.Value:
        """Return a row of int64, such as a shape."""
        return add_constant(self.graph, f"{self.name}_numbers", np.asarray(numbers, np.int64))

    def constant(self, array: np.ndarray[Any, Any]) -> ir.Value:
        """Return an array."""
        return add_constant(self.graph, f"{self.name}_array", array)
