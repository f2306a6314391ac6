"""Checks that a file's graph is one at all, before anything reads it: each tensor made once, weights of their sizes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from camgraph_exporter.errors import ModelFileError

_SHOWN = 5


def check_well_formed(proto: onnx.ModelProto, path: str) -> None:
    """Look at names and weights; shapes and types of values are left to onnxruntime.

    Raises:
        ModelFileError: a tensor is made twice or by nothing, or weights have another size than they state.

    """
    graph = proto.graph
    if garbled := next(_garbled(proto), None):
        raise ModelFileError(f"{path!r} is damaged: {garbled}. Export it again.")
    checks = (_unnamed_ends, _names_made_twice, _lost_names, _wrong_attributes, _wrong_weights)
    problems = [problem for check in checks for problem in check(graph)]
    problems += _unlike_the_standard(proto)
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise ModelFileError(f"{path!r} is damaged: {'; '.join(problems[:_SHOWN])}{more}. Export it again.")


def to_model(proto: onnx.ModelProto, path: str) -> ir.Model:
    """Return the model in memory.

    Raises:
        ModelFileError: it is not valid ONNX.

    """
    try:
        model = ir.from_proto(proto)
    except Exception as error:  # whatever a broken model makes the reader raise
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = str(cause).strip().split("\n")[0].rstrip(".") or type(cause).__name__
        raise ModelFileError(f"{path!r} is not valid ONNX: {reason}. Export it again.") from error
    for weights in model.graph.initializers.values():
        # Where weights are an output as well, what is declared of that has taken the place of their own shape.
        if weights.const_value is not None:
            weights.shape, weights.dtype = (
                ir.Shape([dim for dim in weights.const_value.shape if isinstance(dim, int)]),
                weights.const_value.dtype,
            )
    return model


def _garbled(message: Message) -> Iterator[str]:
    """Tell of names that are not text, which protobuf lets pass as bytes."""
    for field, content in message.ListFields():
        parts: Any = [content] if isinstance(content, Message | str | bytes) else content
        if field.type == FieldDescriptor.TYPE_STRING:
            wrong = [part for part in parts if isinstance(part, bytes)]
            yield from (f"the {field.name} {part!r} of a {message.DESCRIPTOR.name} is not UTF-8 text" for part in wrong)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for part in parts:
                yield from _garbled(part)


def _unnamed_ends(graph: onnx.GraphProto) -> Iterator[str]:
    for what, values in (("input", graph.input), ("output", graph.output)):
        for index, value in enumerate(values):
            if not value.name:
                yield f"{what} {index} has no name"


def _wrong_attributes(graph: onnx.GraphProto) -> Iterator[str]:
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.UNDEFINED and not attribute.ref_attr_name:
                yield f"attribute {attribute.name!r} of {_label(node)} has no type"
            try:
                attribute.s.decode()
            except UnicodeDecodeError:
                yield f"attribute {attribute.name!r} of {_label(node)} is not text"


def _unlike_the_standard(proto: onnx.ModelProto) -> Iterator[str]:
    version = next(opset.version for opset in proto.opset_import if opset.domain in ("", "ai.onnx"))
    for node in proto.graph.node:
        if node.domain in ("", "ai.onnx") and onnx.defs.has(node.op_type, version):
            schema = onnx.defs.get_schema(node.op_type, version)
            present = {attribute.name: attribute for attribute in node.attribute}
            for name, stated in schema.attributes.items():
                if (
                    name in present
                    and present[name].type
                    and _type_of(present[name]) != str(stated.type).split(".")[-1]
                ):
                    yield f"attribute {name!r} of {_label(node)} is not of the type that the standard says"
                elif stated.required and name not in present:
                    yield f"{_label(node)} lacks its attribute {name!r}"


def _type_of(attribute: onnx.AttributeProto) -> str:
    known = onnx.AttributeProto.AttributeType
    return known.Name(attribute.type) if attribute.type in known.values() else ""


def _label(node: onnx.NodeProto) -> str:
    return f"{node.op_type} node {node.name or next(iter(node.output), '')!r}"


def _names_made_twice(graph: onnx.GraphProto) -> Iterator[str]:
    made = Counter(name for node in graph.node for name in node.output if name)
    # Files of old IR versions list each weight among the inputs as well.
    weights = Counter([tensor.name for tensor in graph.initializer])
    inputs = Counter(value.name for value in graph.input)
    for name in dict.fromkeys([*made, *weights, *inputs]):
        if made[name] > 1 or weights[name] > 1 or inputs[name] > 1 or (made[name] and weights[name] + inputs[name]):
            yield f"the tensor {name!r} is made more than once"


def _lost_names(graph: onnx.GraphProto) -> Iterator[str]:
    known = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer} | {""}
    known |= {tensor.values.name for tensor in graph.sparse_initializer}
    known |= {name for node in graph.node for name in node.output}
    used = [name for node in graph.node for name in node.input] + [value.name for value in graph.output]
    for name in dict.fromkeys(used):
        if name not in known:
            yield f"nothing makes the tensor {name!r}, which is used"


def _wrong_weights(graph: onnx.GraphProto) -> Iterator[str]:
    for tensor in _tensors(graph):
        problem = None if onnx.external_data_helper.uses_external_data(tensor) else _wrong_size(tensor)
        if problem is not None:
            yield f"the weights {tensor.name!r} {problem}"


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t
            elif attribute.type == onnx.AttributeProto.GRAPH:
                yield from _tensors(attribute.g)


def _wrong_size(tensor: onnx.TensorProto) -> str | None:
    """Return what is wrong with a tensor's type, shape or number of elements."""
    known = set(onnx.TensorProto.DataType.values()) - {onnx.TensorProto.UNDEFINED}
    if tensor.data_type not in known:
        return f"have the unknown element type {tensor.data_type}"
    dims = list(tensor.dims)
    if any(dim < 0 for dim in dims):
        return f"have the shape {dims}"
    if not tensor.HasField("raw_data"):
        try:
            onnx.numpy_helper.to_array(tensor)
        except Exception as error:  # whatever broken elements make onnx raise
            return f"cannot be read ({str(error).splitlines()[0]})"
        return None
    bits = ir.DataType(tensor.data_type).bitwidth if tensor.data_type != onnx.TensorProto.STRING else 0
    needed = math.ceil(math.prod(dims) * bits / np.iinfo(np.uint8).bits)
    if len(tensor.raw_data) == needed:
        return None
    return f"of shape {dims} have {len(tensor.raw_data)} bytes, not {needed}"
