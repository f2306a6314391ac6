"""Rewrites an ONNX model so that everything it computes in floating point is double."""

import numpy as np
import onnx
import onnx.inliner
from onnx import (
    AttributeProto,
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    SparseTensorProto,
    TensorProto,
    TypeProto,
)
from onnx.external_data_helper import uses_external_data

from camgraph_exporter.errors import ModelFileError
from camgraph_exporter.float64.windows import Array

_NARROW = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16})

# Attributes that hold an element type, and the type that an absent one stands for; None where it stands for
# the input's type, which has been widened already.
_TYPE_ATTRIBUTES: dict[str, tuple[str, int | None]] = {
    "Bernoulli": ("dtype", None),
    "BlackmanWindow": ("output_datatype", TensorProto.FLOAT),
    "Cast": ("to", None),
    "DequantizeLinear": ("output_dtype", None),
    "EyeLike": ("dtype", None),
    "HammingWindow": ("output_datatype", TensorProto.FLOAT),
    "HannWindow": ("output_datatype", TensorProto.FLOAT),
    "MelWeightMatrix": ("output_datatype", TensorProto.FLOAT),
    "QuantizeLinear": ("precision", None),
    "RandomNormal": ("dtype", TensorProto.FLOAT),
    "RandomNormalLike": ("dtype", None),
    "RandomUniform": ("dtype", TensorProto.FLOAT),
    "RandomUniformLike": ("dtype", None),
    "SequenceEmpty": ("dtype", TensorProto.FLOAT),
}


def to_float64(model: ModelProto) -> ModelProto:
    """Returns a copy of `model` in which float32, float16 and bfloat16 have become double.

    Initializers, constants, casts, generators and declared types change, in subgraphs too; functions of the
    model are inlined first. A float32 weight stays the same number. Integers, and the 8-bit and smaller
    floats of quantised models, stay as they are. The result is meant for `Float64Evaluator`: it leaves the
    standard where an operator takes float32 only (the scales of Resize).

    Raises ModelFileError if the model's external data has not been loaded.
    """
    converted = ModelProto()
    converted.CopyFrom(_inlined(model))
    _convert_graph(converted.graph)
    return converted


def split_float64(model: ModelProto) -> tuple[ModelProto, dict[str, Array]]:
    """Returns what `to_float64` does with the initializers taken out and given as arrays, by name.

    The weights of a large model would otherwise pass through several buffers of twice their size.
    """
    model = _inlined(model)
    graph = model.graph
    bare = ModelProto(
        ir_version=model.ir_version,
        opset_import=model.opset_import,
        graph=GraphProto(
            name=graph.name,
            node=graph.node,
            sparse_initializer=graph.sparse_initializer,
            input=graph.input,
            output=graph.output,
            value_info=graph.value_info,
        ),
    )
    _convert_graph(bare.graph)
    return bare, {tensor.name: _values(tensor) for tensor in graph.initializer}


def _inlined(model: ModelProto) -> ModelProto:
    return onnx.inliner.inline_local_functions(model) if model.functions else model


def function_to_float64(function: FunctionProto) -> FunctionProto:
    """Returns a copy of a function body with float64 constants and casts, like `to_float64` for a model."""
    converted = FunctionProto()
    converted.CopyFrom(function)
    for node in converted.node:
        _convert_node(node)
    return converted


def _convert_graph(graph: GraphProto) -> None:
    for tensor in graph.initializer:
        _convert_tensor(tensor)
    for sparse in graph.sparse_initializer:
        _convert_sparse(sparse)
    for value in (*graph.input, *graph.output, *graph.value_info):
        _convert_type(value.type)
    for node in graph.node:
        _convert_node(node)


def _convert_tensor(tensor: TensorProto) -> None:
    if tensor.data_type in _NARROW:
        tensor.CopyFrom(onnx.numpy_helper.from_array(_values(tensor), tensor.name))


def _values(tensor: TensorProto) -> Array:
    """The values of a tensor, in float64 if it holds a wider float than 8 bits."""
    if uses_external_data(tensor):
        raise ModelFileError(
            f"The weights {tensor.name!r} lie in an external file that is not loaded. "
            "Load the model together with its external data."
        )
    values = onnx.numpy_helper.to_array(tensor)
    return values.astype(np.float64) if tensor.data_type in _NARROW else values


def _convert_sparse(sparse: SparseTensorProto) -> None:
    _convert_tensor(sparse.values)


def _convert_type(kind: TypeProto) -> None:
    match kind.WhichOneof("value"):
        case "tensor_type":
            kind.tensor_type.elem_type = _widened(kind.tensor_type.elem_type)
        case "sparse_tensor_type":
            kind.sparse_tensor_type.elem_type = _widened(kind.sparse_tensor_type.elem_type)
        case "sequence_type":
            _convert_type(kind.sequence_type.elem_type)
        case "optional_type":
            _convert_type(kind.optional_type.elem_type)
        case "map_type":
            _convert_type(kind.map_type.value_type)


def _widened(element_type: int) -> int:
    return TensorProto.DOUBLE if element_type in _NARROW else element_type


def _convert_node(node: NodeProto) -> None:
    for attribute in node.attribute:
        _convert_attribute(attribute)
    if node.domain:
        return
    if node.op_type == "Constant":
        _convert_constant(node)
    elif node.op_type == "ConstantOfShape" and not node.attribute:
        zero = onnx.numpy_helper.from_array(np.zeros(1), "value")
        node.attribute.append(onnx.helper.make_attribute("value", zero))
    elif node.op_type in _TYPE_ATTRIBUTES:
        _convert_element_type(node, *_TYPE_ATTRIBUTES[node.op_type])


def _convert_attribute(attribute: AttributeProto) -> None:
    match attribute.type:
        case AttributeProto.TENSOR:
            _convert_tensor(attribute.t)
        case AttributeProto.TENSORS:
            for tensor in attribute.tensors:
                _convert_tensor(tensor)
        case AttributeProto.SPARSE_TENSOR:
            _convert_sparse(attribute.sparse_tensor)
        case AttributeProto.GRAPH:
            _convert_graph(attribute.g)
        case AttributeProto.GRAPHS:
            for graph in attribute.graphs:
                _convert_graph(graph)
        case AttributeProto.TYPE_PROTO:
            _convert_type(attribute.tp)


def _convert_constant(node: NodeProto) -> None:
    """Turns `value_float` and `value_floats`, which are float32 by definition, into a double tensor."""
    attribute = node.attribute[0]
    if attribute.ref_attr_name or attribute.name not in {"value_float", "value_floats"}:
        return
    values = np.asarray(onnx.helper.get_attribute_value(attribute), np.float64)
    attribute.CopyFrom(onnx.helper.make_attribute("value", onnx.numpy_helper.from_array(values, "value")))


def _convert_element_type(node: NodeProto, name: str, default: int | None) -> None:
    for attribute in node.attribute:
        if attribute.name == name:
            attribute.i = _widened(attribute.i)
            return
    if default is not None:
        node.attribute.append(onnx.helper.make_attribute(name, _widened(default)))
