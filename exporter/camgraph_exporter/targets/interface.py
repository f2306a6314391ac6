"""The graph's new inputs and outputs, under the names of docs/explainable-graph.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.graph.dims import BATCH, Dim, dims_of
from camgraph_exporter.prepare.prepare import PreparedModel


@dataclass(frozen=True)
class AttachedTargets:
    """What a task adds to the graph.

    `seed`: the cotangent [T, *score] of the score that the targets mean. `tensors`: names of inputs and outputs.
    `boxes`: those of a detector, None without.
    """

    seed: ir.Value
    tensors: pb.TargetTensors
    boxes: pb.Boxes | None = None


class Interface:
    """Adds inputs and outputs to a prepared graph; a name that the source itself uses gets a prefix."""

    def __init__(self, prepared: PreparedModel) -> None:
        self.graph = prepared.graph
        self.image = prepared.image
        self.source_outputs = list(prepared.graph.outputs)
        self.batch: Dim = BATCH if prepared.probe.batch_is_symbolic else int(dims_of(prepared.image)[0])
        self._taken = set(prepared.values()) | set(prepared.graph.initializers)

    def add_input(self, name: str, dtype: ir.DataType, shape: Sequence[Dim]) -> ir.Value:
        """Add an input of the given shape."""
        value = ir.Value(name=self._free(name), shape=ir.Shape(shape), type=ir.TensorType(dtype))
        self.graph.inputs.append(value)
        return value

    def add_output(self, name: str, value: ir.Value) -> str:
        """Make a value an output; return the name that it got."""
        node = ir.node("Identity", [value], name=f"camgraph/{name}")
        output = node.outputs[0]
        output.name, output.type, output.shape = self._free(name), value.type, value.shape
        self.graph.append(node)
        self.graph.outputs.append(output)
        return str(output.name)

    def _free(self, name: str) -> str:
        while name in self._taken:
            name = f"camgraph_{name}"
        self._taken.add(name)
        return name
