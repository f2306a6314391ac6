"""Puts the backward part behind a switch, so that a run that only predicts costs what the trained model costs.

Asking a runtime for fewer outputs does not reliably spare the rest of the graph; an `If` on a boolean input does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from camgraph_exporter.cam.interface import Interface
from camgraph_exporter.graph.dims import dims_of

SWITCH = "explain"


def make_skippable(interface: Interface, outputs: Sequence[str]) -> str:
    """Move what only the named outputs need into the branch of an `If`; return the name of the boolean input.

    Where the input is false these outputs have no targets: `[N, 0, ...]`. Operators on constants stay outside: runtimes fold them when they
    load the graph, but not inside a branch.
    """
    graph = interface.graph
    switch = interface.add_input(SWITCH, ir.DataType.BOOL, [])
    guarded = [value for value in graph.outputs if value.name in outputs]
    inside = _only_needed_by(graph, guarded)
    constant = _constant_nodes(inside)
    body = [node for node in inside if node not in constant]
    for value in guarded:
        graph.outputs.remove(value)
    graph.remove(body)

    names = [str(value.name) for value in guarded]
    for value in guarded:
        value.name = f"{value.name}/on"
    taken = ir.Graph(inputs=[], outputs=guarded, nodes=body, name="explain")
    skipped = _no_targets(guarded)
    results = [ir.Value(name=name, shape=value.shape, type=value.type) for name, value in zip(names, guarded, strict=True)]
    branches = {"then_branch": taken, "else_branch": skipped}
    graph.append(ir.node("If", [switch], branches, outputs=results, name="camgraph/explain"))
    graph.outputs.extend(results)
    return str(switch.name)


def _only_needed_by(graph: ir.Graph, outputs: Sequence[ir.Value]) -> list[ir.Node]:
    """Return the nodes that lead to no output but these, in topological order."""
    kept = {value for value in graph.outputs if value not in outputs}
    inside = []
    for node in reversed(graph):
        if any(value in kept for value in node.outputs):
            kept.update(value for value in node.inputs if value is not None)
        else:
            inside.append(node)
    return inside[::-1]


def _constant_nodes(nodes: Sequence[ir.Node]) -> set[ir.Node]:
    """Return the nodes that depend on initializers alone."""
    constant: set[ir.Node] = set()
    for node in nodes:
        inputs = [value for value in node.inputs if value is not None]
        if inputs and all(value.is_initializer() or value.producer() in constant for value in inputs):
            constant.add(node)
    return constant


def _no_targets(outputs: Sequence[ir.Value]) -> ir.Graph:
    """Return a branch that yields the outputs with an empty axis of targets."""
    nodes, results = [], []
    for value in outputs:
        dims = dims_of(value)
        sizes = np.array([dim if isinstance(dim, int) and axis != 1 else 0 for axis, dim in enumerate(dims)], dtype=np.int64)
        shape = ir.node("Constant", [], {"value": ir.tensor(sizes)}, name=f"{value.name}/off_shape")
        assert value.dtype is not None
        zero = ir.tensor(np.zeros(1, dtype=value.dtype.numpy()))
        empty = ir.node("ConstantOfShape", shape.outputs, {"value": zero}, name=f"{value.name}/off")
        shape.outputs[0].name, empty.outputs[0].name = f"{value.name}_shape", str(value.name).replace("/on", "/off")
        empty.outputs[0].type, empty.outputs[0].shape = value.type, ir.Shape(dims)
        nodes += [shape, empty]
        results.append(empty.outputs[0])
    return ir.Graph(inputs=[], outputs=results, nodes=nodes, name="predict")
