"""Settles casts: those that take their type from another tensor, and those of integers that change nothing."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult


class SettleCastsPass(InPlacePass):
    """Turns each CastLike into a Cast to the type that the probe has found.

    It seems to depend on the elements of its second input, but takes the type alone.
    """

    def call(self, model: ir.Model) -> PassResult:
        """Replace the nodes whose type is known."""
        found = [node for node in model.graph if node.op_type == "CastLike" and not node.domain]
        found = [node for node in found if node.outputs[0].dtype is not None and not node.outputs[0].is_graph_output()]
        for node in found:
            output = node.outputs[0]
            cast = ir.node("Cast", [node.inputs[0]], {"to": int(output.dtype or 0)}, name=node.name)
            cast.outputs[0].name, cast.outputs[0].type, cast.outputs[0].shape = output.name, output.type, output.shape
            model.graph.insert_before(node, cast)
            output.replace_all_uses_with(cast.outputs[0])
            model.graph.remove(node, safe=True)
        return PassResult(model, bool(found))


class DropNeedlessCastsPass(InPlacePass):
    """Removes each Cast of integers to the type that they have: PyTorch writes one after every quantiser.

    No gradient passes a cast to integers, so it would hide that quantiser and dequantiser belong together.
    """

    def call(self, model: ir.Model) -> PassResult:
        """Let the readers of such a Cast read its input."""
        changed = False
        for node in list(model.graph):
            if node.op_type != "Cast" or node.domain:
                continue
            x, y = node.inputs[0], node.outputs[0]
            if x is None or x.dtype is None or x.dtype != y.dtype or not x.dtype.is_integer() or y.is_graph_output():
                continue
            y.replace_all_uses_with(x)
            model.graph.remove(node, safe=True)
            changed = True
        return PassResult(model, changed)
