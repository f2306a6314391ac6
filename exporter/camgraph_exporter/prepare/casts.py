"""Settles casts whose type comes from another tensor: they seem to depend on its elements, but take its type only."""

from __future__ import annotations

import onnx_ir as ir


def settle_casts(model: ir.Model) -> None:
    """Turn each CastLike into a Cast to the type that the probe has found."""
    for node in list(model.graph):
        if node.op_type != "CastLike" or node.domain:
            continue
        output = node.outputs[0]
        if output.dtype is None or output.is_graph_output():
            continue
        cast = ir.node("Cast", [node.inputs[0]], {"to": int(output.dtype)}, name=node.name)
        cast.outputs[0].name, cast.outputs[0].type, cast.outputs[0].shape = output.name, output.type, output.shape
        model.graph.insert_before(node, cast)
        output.replace_all_uses_with(cast.outputs[0])
        model.graph.remove(node, safe=True)
