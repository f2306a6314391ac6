"""Guards the backward part with a switch, so that a run that only predicts costs what the trained model costs.

Asking a runtime for fewer outputs does not reliably spare the rest of the graph; an `If` on a boolean input does.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.walk import leading_to
from camgraph_exporter.targets.interface import Interface

SWITCH = "explain"


def make_skippable(interface: Interface, outputs: Sequence[str], between: Collection[ir.Node]) -> str:
    """Move what only the named outputs need into the branch of an `If`; return the name of the boolean input.

    Where the input is false these outputs have no targets: `[N, 0, ...]`. Operators on constants stay outside: runtimes
    fold them when they load the graph, but not inside a branch. `between`: the forward operators between the layers and
    the score that the branch may compute again.
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
    body = _forward_again(graph, body, between) + body

    names = [str(value.name) for value in guarded]
    for value in guarded:
        value.name = f"{value.name}/on"
    taken = ir.Graph(inputs=[], outputs=guarded, nodes=body, name="explain")
    skipped = _no_targets(guarded, interface.image)
    results = [
        ir.Value(name=name, shape=value.shape, type=value.type) for name, value in zip(names, guarded, strict=True)
    ]
    branches = {"then_branch": taken, "else_branch": skipped}
    graph.append(ir.node("If", [switch], branches, outputs=results, name="camgraph/explain"))
    graph.outputs.extend(results)
    return str(switch.name)


def _only_needed_by(graph: ir.Graph, outputs: Sequence[ir.Value]) -> list[ir.Node]:
    """Return the nodes that lead to these outputs only, in topological order."""
    kept = set(leading_to(graph, [value for value in graph.outputs if value not in outputs]))
    return [node for node in graph if node not in kept]


def _forward_again(graph: ir.Graph, body: Sequence[ir.Node], between: Collection[ir.Node]) -> list[ir.Node]:
    """Let the body read copies of the forward operators `between` layers and score, in order, that make what it needs.

    Whatever a branch reads from outside is written out in every run, which takes the time of a copy and keeps runtimes
    from fusing the operators on both sides of it. So it reads the layers, which are outputs anyway.
    """
    inside = {value for node in body for value in node.outputs}
    read = {value for node in body for value in node.inputs if value is not None and value not in inside}
    again = []
    for node in reversed(graph):
        if node in between and read.intersection(node.outputs) and not any(y.is_graph_output() for y in node.outputs):
            read.update(value for value in node.inputs if value is not None)
            again.append(node)
    copies: dict[ir.Value, ir.Value] = {}
    for node in reversed(again):
        results = [ir.Value(name=f"camgraph/again/{y.name}", shape=y.shape, type=y.type) for y in node.outputs]
        inputs = [_copied(copies, value) for value in node.inputs]
        name = f"camgraph/again/{node.name or node.outputs[0].name}"
        ir.node(node.op_type, inputs, dict(node.attributes), domain=node.domain, outputs=results, name=name)
        copies.update(zip(node.outputs, results, strict=True))
    for node in body:
        for i, value in enumerate(node.inputs):
            node.replace_input_with(i, _copied(copies, value))
    made = [copies[node.outputs[0]].producer() for node in reversed(again)]
    return [node for node in made if node is not None]


def _copied(copies: dict[ir.Value, ir.Value], value: ir.Value | None) -> ir.Value | None:
    return copies.get(value, value) if value is not None else None


def _constant_nodes(nodes: Sequence[ir.Node]) -> set[ir.Node]:
    """Return the nodes that depend on initializers alone."""
    constant: set[ir.Node] = set()
    for node in nodes:
        inputs = [value for value in node.inputs if value is not None]
        if inputs and all(value.is_initializer() or value.producer() in constant for value in inputs):
            constant.add(node)
    return constant


def _no_targets(outputs: Sequence[ir.Value], image: ir.Value) -> ir.Graph:
    """Return a branch that yields the outputs with an empty axis of targets; dynamic axes are empty, too."""
    nodes, results = _batch_size(image), []
    batch = nodes[-1].outputs[0]
    for value in outputs:
        rest = [0, *(dim if isinstance(dim, int) else 0 for dim in dims_of(value)[2:])]
        sizes = ir.node("Constant", [], {"value": ir.tensor(np.array(rest, dtype=np.int64))})
        shape = ir.node("Concat", [batch, *sizes.outputs], {"axis": 0})
        assert value.dtype is not None
        zero = ir.tensor(np.zeros(1, dtype=value.dtype.numpy()))
        empty = ir.node("ConstantOfShape", shape.outputs, {"value": zero})
        _name(str(value.name).replace("/on", "/off"), sizes, shape, empty)
        empty.outputs[0].type, empty.outputs[0].shape = value.type, ir.Shape([dims_of(value)[0], *rest])
        nodes += [sizes, shape, empty]
        results.append(empty.outputs[0])
    return ir.Graph(inputs=[], outputs=results, nodes=nodes, name="predict")


def _batch_size(image: ir.Value) -> list[ir.Node]:
    """Return nodes of which the last yields the number of images as int64 [1]."""
    first = ir.node("Constant", [], {"value": ir.tensor(np.zeros(1, dtype=np.int64))})
    shape = ir.node("Shape", [image])
    size = ir.node("Gather", [shape.outputs[0], first.outputs[0]], {"axis": 0})
    _name("camgraph/batch", first, shape, size)
    return [first, shape, size]


def _name(stem: str, *nodes: ir.Node) -> None:
    """Name nodes and their outputs: the last one's output is the stem itself."""
    for node in nodes:
        node.name = stem if node is nodes[-1] else f"{stem}/{node.op_type}"
        node.outputs[0].name = node.name
