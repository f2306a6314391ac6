"""The graph of `--skippable` without its switch: what the checks look into."""

from __future__ import annotations

import onnx


def without_switch(model: onnx.ModelProto, switch: str) -> onnx.ModelProto:
    """Return the graph with the branch that explains in the place of the `If` that guards it.

    The input `switch` stays, unread. Names are unique across a graph and its branches, so nothing is renamed. A graph
    without a switch is returned as it is.
    """
    if not switch:
        return model
    flat = onnx.ModelProto()
    flat.CopyFrom(model)
    del flat.graph.node[:]
    for node in model.graph.node:
        flat.graph.node.extend(_explaining(node) if node.op_type == "If" and switch in node.input else [node])
    return flat


def _explaining(guard: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Return the nodes of the branch, and what hands its results on under the names that the guard gives them."""
    branch = next(attribute.g for attribute in guard.attribute if attribute.name == "then_branch")
    results = [
        onnx.helper.make_node("Identity", [inner.name], [outer], name=f"{guard.name}/{outer}")
        for inner, outer in zip(branch.output, guard.output, strict=True)
    ]
    return [*branch.node, *results]
