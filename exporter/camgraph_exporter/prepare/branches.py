"""Replaces every If whose condition is the same in all runs by the branch that it takes.

Exporters leave such an If where the model asked for a rank, a size or a flag. The rules see plain nodes afterwards; an
If that depends on the image stays, and is refused by name if it lies between layer and score.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult, common

from camgraph_exporter.graph.evaluate import evaluate_node
from camgraph_exporter.graph.traits import Trait, has

Array = np.ndarray[Any, Any]

# Conditions are computed from sizes and flags; larger constants are weights, which no exporter branches on.
_SIZE_LIMIT = 1024


class InlineConstantBranchesPass(InPlacePass):
    """Inlines the taken branch of each If in the main graph whose condition is known; nested ones follow."""

    def call(self, model: ir.Model) -> PassResult:
        """Inline until nothing changes."""
        if not any(node.op_type == "If" for node in model.graph):
            return PassResult(model, modified=False)
        common.ShapeInferencePass()(model)
        opset, modified = int(model.opset_imports[""]), False
        while _inline_known(model.graph, opset):
            modified = True
        return PassResult(model, modified)


def _inline_known(graph: ir.Graph, opset: int) -> bool:
    """Inline the taken branch of each If whose condition is known; tell whether there was one."""
    changed = False
    for node in list(graph):
        condition = _evaluate(node.inputs[0], opset) if node.op_type == "If" and node.domain == "" else None
        if condition is not None:
            _inline(graph, node, "then_branch" if bool(condition.reshape(-1)[0]) else "else_branch")
            changed = True
    return changed


def _inline(graph: ir.Graph, node: ir.Node, name: str) -> None:
    """Move the nodes of a branch before the If, let its users read the branch's outputs, and drop it."""
    branch = node.attributes[name].as_graph()
    _rename(graph, branch, prefix=str(node.name or node.outputs[0].name))
    for value in list(branch.initializers.values()):
        branch.initializers.pop(str(value.name))
        graph.register_initializer(value)
    inner = list(branch)
    results = list(branch.outputs)
    branch.outputs.clear()
    branch.remove(inner)
    graph.insert_before(node, inner)
    for output, result in zip(node.outputs, results, strict=True):
        _replace(graph, node, output, result)
    graph.remove(node, safe=True)


def _replace(graph: ir.Graph, node: ir.Node, output: ir.Value, result: ir.Value) -> None:
    """Let the users of an If's output read `result`; a graph output keeps its name."""
    if output.is_graph_output():
        # The branch may return an input, a weight or one value twice, none of which can take over the name.
        name, copied = str(output.name), ir.Value(shape=output.shape, type=output.type)
        output.name = f"{name}/if"
        copied.name = name
        graph.insert_before(node, ir.Node("", "Identity", [result], outputs=[copied], name=f"{name}/branch"))
        result = copied
    output.replace_all_uses_with(result, replace_graph_outputs=True)


def _rename(graph: ir.Graph, branch: ir.Graph, *, prefix: str) -> None:
    """Give values of the branch that share a name with one of the main graph a name of their own."""
    taken = {value.name for node in graph for value in node.outputs}
    taken |= {value.name for value in graph.inputs} | set(graph.initializers)
    for value in [*branch.initializers.values(), *(value for node in branch for value in node.outputs)]:
        if value.name in taken:
            _rename_value(branch, value, f"{prefix}/{value.name}")


def _rename_value(branch: ir.Graph, value: ir.Value, name: str) -> None:
    """Rename a value, and its key among the initializers if it is one."""
    was_initializer = str(value.name) in branch.initializers and branch.initializers[str(value.name)] is value
    if was_initializer:
        branch.initializers.pop(str(value.name))
    value.name = name
    if was_initializer:
        branch.register_initializer(value)


# --- what is known before any run ---------------------------------------------------------------------------------


def _evaluate(value: ir.Value | None, opset: int) -> Array | None:
    """Return the elements of a value that no input can change, else None."""
    if value is None:
        return None
    if value.const_value is not None:
        return value.const_value.numpy() if value.const_value.size <= _SIZE_LIMIT else None
    node = value.producer()
    if (
        node is None
        or node.domain != ""
        or any(attribute.type == ir.AttributeType.GRAPH for attribute in node.attributes.values())
    ):
        return None
    if node.op_type in {"Shape", "Size"}:
        return _static_shape(node)
    if node.op_type == "Gather":
        picked = _static_dimensions(node, opset)
        if picked is not None:
            return picked
    if has(node, Trait.RANDOM):
        return None
    arrays = [_evaluate(x, opset) if x is not None else None for x in node.inputs]
    if any(array is None for array, x in zip(arrays, node.inputs, strict=True) if x is not None):
        return None
    return _run(node, arrays, opset, list(node.outputs).index(value))


def _static_shape(node: ir.Node) -> Array | None:
    """Return the result of Shape or Size where every size is a number."""
    source = node.inputs[0]
    if source is None or source.shape is None:
        return None
    if node.op_type == "Shape":
        start, end = (node.attributes[key].as_int() if key in node.attributes else None for key in ("start", "end"))
        dims = list(source.shape)[start:end]
    else:
        dims = list(source.shape)
    if not all(isinstance(dim, int) for dim in dims):
        return None
    sizes = np.asarray(dims, dtype=np.int64)
    return sizes if node.op_type == "Shape" else np.asarray(sizes.prod(), dtype=np.int64)


def _static_dimensions(node: ir.Node, opset: int) -> Array | None:
    """Return sizes that Gather picks from a shape whose other sizes may be open."""
    shape, indices = node.inputs[0], _evaluate(node.inputs[1], opset)
    producer = shape.producer() if shape is not None else None
    if producer is None or producer.op_type != "Shape" or producer.attributes or indices is None:
        return None
    source = producer.inputs[0]
    if source is None or source.shape is None:
        return None
    picked = [source.shape[int(index)] for index in indices.reshape(-1)]
    if not all(isinstance(dim, int) for dim in picked):
        return None
    return np.asarray(picked, dtype=np.int64).reshape(indices.shape)


def _run(node: ir.Node, arrays: list[Array | None], opset: int, output: int) -> Array | None:
    """Compute one output of a node; None where that is not possible."""
    try:
        return np.asarray(evaluate_node(node, arrays, opset)[output])
    except Exception:  # the reference implementation raises whatever its operators raise
        return None
