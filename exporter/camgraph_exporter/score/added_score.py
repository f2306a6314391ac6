"""Adds the nodes that compute a score where no tensor of the source is the score itself, such as for a multiple."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count
from typing import Any

import numpy as np
import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.prepare.prepare import PreparedModel

_INNER = "camgraph/score"  # begins the names of what no user reads


def named(prepared: PreparedModel, score: ir.Value, output: ir.Value) -> ir.Value:
    """Return the score of an output: one that was added under a name for users, a tensor of the source as it is."""
    if str(score.name).startswith(_INNER):
        score.name = _free(prepared, f"{output.name}_scores")
    return score


def multiple(prepared: PreparedModel, value: ir.Value, factor: float) -> ir.Value:
    """Return `factor` times a value; the value itself for 1."""
    if factor == 1:
        return value
    if factor == -1:
        return append(prepared, "Neg", [value], {}, dims_of(value), value)
    return append(prepared, "Mul", [value, constant(prepared, np.array(factor), value)], {}, dims_of(value), value)


def difference(prepared: PreparedModel, value: ir.Value, axis: int) -> ir.Value:
    """Return the second of two scores along an axis minus the first; the axis stays, with size 1."""
    dims = [1 if i == axis else dim for i, dim in enumerate(dims_of(value))]
    first, second = (
        append(prepared, "Gather", [value, constant(prepared, np.array([i]))], {"axis": axis}, dims, value)
        for i in range(2)
    )
    return append(prepared, "Sub", [second, first], {}, dims, value)


def append(
    prepared: PreparedModel,
    op_type: str,
    inputs: Sequence[ir.Value | None],
    attributes: dict[str, Any],
    dims: Sequence[int | str],
    like: ir.Value,
) -> ir.Value:
    """Append one node to the model; its result has the shape `dims` and the element type of `like`."""
    node = ir.node(op_type, list(inputs), attributes, name=f"camgraph/{op_type}")
    [result] = node.outputs
    _adopt(prepared, node, result)
    result.type, result.shape = like.type, ir.Shape(dims)
    return result


def copy(prepared: PreparedModel, node: ir.Node, swapped: dict[ir.Value, ir.Value]) -> None:
    """Append a copy of a node that reads other values; `swapped` says which, and learns of the copy's results."""
    inputs = [x if x is None else swapped.get(x, x) for x in node.inputs]
    made = ir.Node(node.domain, node.op_type, inputs, node.attributes.values(), num_outputs=len(node.outputs))
    for new, old in zip(made.outputs, node.outputs, strict=True):
        new.type, new.shape = old.type, old.shape
        swapped[old] = new
    _adopt(prepared, made, *made.outputs)


def constant(prepared: PreparedModel, array: np.ndarray, like: ir.Value | None = None) -> ir.Value:
    """Add an initializer, in the element type of `like`; whole numbers without it are int64."""
    dtype = np.dtype(np.int64) if like is None or like.dtype is None else like.dtype.numpy()
    name = _free(prepared)
    value = ir.Value(name=name, const_value=ir.tensor(array.astype(dtype), name=name))
    value.type, value.shape = ir.TensorType(ir.DataType.from_numpy(dtype)), ir.Shape(array.shape)
    prepared.graph.register_initializer(value)
    return value


def _adopt(prepared: PreparedModel, node: ir.Node, *results: ir.Value) -> None:
    prepared.graph.append(node)
    for result in results:
        result.name = ""
    for result in results:
        result.name = _free(prepared)
    node.name = str(results[0].name)


def _free(prepared: PreparedModel, base: str = _INNER) -> str:
    """Return a name that nothing in the graph has: `base`, or that with a number."""
    graph = prepared.graph
    taken = {str(value.name) for value in graph.inputs} | set(graph.initializers)
    taken |= {str(value.name) for node in graph for value in node.outputs}
    return next(name for name in chain([base], (f"{base}_{number}" for number in count(1))) if name not in taken)
