"""Walks over a graph: what a node reads, what values depend on, and what depends on them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

import onnx_ir as ir


def reads(node: ir.Node) -> list[ir.Value]:
    """Return the inputs of a node and the values of the graph around it that its subgraphs take, each once."""
    values = [value for value in node.inputs if value is not None]
    for subgraph in _subgraphs(node):
        values += _captured(subgraph)
    return list(dict.fromkeys(values))


def required(node: ir.Node, index: int) -> ir.Value:
    """Return an input that the operator requires.

    Raises:
        ValueError: it was left out.

    """
    value = node.inputs[index] if index < len(node.inputs) else None
    if value is None:
        raise ValueError(f"{node.op_type} node {node.name or node.outputs[0].name!r} lacks its input {index}.")
    return value


def leading_to(nodes: Iterable[ir.Node], values: Iterable[ir.Value]) -> list[ir.Node]:
    """Return those of some nodes, given in topological order, that the values depend on, in that order."""
    wanted, found = set(values), []
    for node in reversed(list(nodes)):
        if not wanted.isdisjoint(node.outputs):
            wanted.update(reads(node))
            found.append(node)
    return found[::-1]


def needed_for(nodes: Iterable[ir.Node], values: Iterable[ir.Value]) -> set[ir.Value]:
    """Return the values, and all that they depend on by some nodes, given in topological order."""
    found = set(values)
    return found.union(*map(reads, leading_to(nodes, found)))


def reached_from(
    nodes: Iterable[ir.Node],
    values: Iterable[ir.Value],
    passed_on: Callable[[ir.Node], Collection[ir.Value]] = lambda node: node.outputs,
) -> set[ir.Value]:
    """Return the values, and all that depend on them.

    Args:
        nodes: the nodes to look at, in topological order.
        values: where to begin.
        passed_on: the outputs of a node that depend on what it reads; all by default.

    """
    found = set(values)
    for node in nodes:
        if not found.isdisjoint(reads(node)):
            found.update(passed_on(node))
    return found


def depends_on_no_input(value: ir.Value) -> bool:
    """Tell whether a value is the same in every run: computed from initializers alone."""
    seen, stack = set[ir.Node](), [value]
    while stack:
        value = stack.pop()
        node = value.producer()
        if node is None and not value.is_initializer():
            return False
        if node is not None and node not in seen:
            seen.add(node)
            stack += [x for x in node.inputs if x is not None]
    return True


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
