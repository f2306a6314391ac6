"""Lifts arithmetic in bfloat16 to float32: onnxruntime has no kernels for it on the CPU, where an export is proven."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from camgraph_exporter.graph.passes import notes_of

_NARROW, _WIDE = ir.DataType.BFLOAT16, ir.DataType.FLOAT
# Integers that name an element type.
_TYPES = ("to", "dtype", "output_dtype", "stash_type")

_NOTE = (
    "The model computes in bfloat16, for which onnxruntime has no kernels on the CPU. The explainable graph computes "
    "in float32, its image and outputs are float32, and its weights stay in bfloat16."
)


class WidenBfloat16Pass(InPlacePass):
    """Lets everything that is computed in bfloat16 be computed in float32.

    The weights stay as they are, before a Cast. A model that only stores its weights so is left alone.
    """

    def call(self, model: ir.Model) -> PassResult:
        """Widen values, attributes, inputs and outputs, and note it."""
        if not _computes_narrow(model.graph):
            return PassResult(model, modified=False)
        for value in list(model.graph.initializers.values()):
            if value.dtype == _NARROW:
                _cast(model.graph, value)
        for node in model.graph.all_nodes():
            _widen_attributes(node)
            for value in node.outputs:
                _widen_type(value)
        for value in (*model.graph.inputs, *model.graph.outputs):
            _widen_type(value)
        notes_of(model).append(_NOTE)
        return PassResult(model, modified=True)


def is_widened(model: ir.Model) -> bool:
    """Tell whether a model computes in float32 what its source computes in bfloat16."""
    return _NOTE in notes_of(model)


def _computes_narrow(graph: ir.Graph) -> bool:
    readers = (use.node for value in graph.initializers.values() if value.dtype == _NARROW for use in value.uses())
    return (
        any(value.dtype == _NARROW for value in graph.inputs)
        or any(node.op_type != "Cast" for node in readers)
        or any(node.attributes.get_int("to", 0) == _NARROW for node in graph.all_nodes() if node.op_type == "Cast")
    )


def _cast(graph: ir.Graph, weight: ir.Value) -> None:
    cast = ir.node("Cast", [weight], {"to": int(_WIDE)}, name=f"{weight.name}/float32")
    wide = cast.outputs[0]
    wide.name, wide.type, wide.shape = f"{weight.name}_float32", ir.TensorType(_WIDE), weight.shape
    for use in list(weight.uses()):
        if use.node is not cast:
            use.node.replace_input_with(use.idx, wide)
    graph.insert_before(graph[0], cast)


def _widen_attributes(node: ir.Node) -> None:
    for name in _TYPES:
        if node.attributes.get_int(name, 0) == _NARROW:
            node.attributes[name] = ir.AttrInt64(name, int(_WIDE))
    for name, attribute in list(node.attributes.items()):
        if attribute.type == ir.AttributeType.TENSOR and attribute.as_tensor().dtype == _NARROW:
            wide = attribute.as_tensor().numpy().astype(_WIDE.numpy())
            node.attributes[name] = ir.AttrTensor(name, ir.tensor(wide))


def _widen_type(value: ir.Value) -> None:
    if value.dtype == _NARROW:
        value.type = ir.TensorType(_WIDE)
