"""Breaks small ONNX graphs in random places."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from support.random_draft import T

Change = Callable[[np.random.Generator, onnx.ModelProto], None]


def _any(rng: np.random.Generator, items: Sequence[T]) -> T | None:
    return items[int(rng.integers(len(items)))] if len(items) else None


def _names(model: onnx.ModelProto) -> list[str]:
    graph = model.graph
    names = [name for node in graph.node for name in node.output] + [value.name for value in graph.input]
    return names + [weight.name for weight in graph.initializer] + ["", "nowhere"]


def _drop_node(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    if model.graph.node:
        del model.graph.node[int(rng.integers(len(model.graph.node)))]


def _double_node(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    if model.graph.node:
        model.graph.node.append(model.graph.node[int(rng.integers(len(model.graph.node)))])


def _rewire(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    node = _any(rng, model.graph.node)
    if node is not None and node.input:
        node.input[int(rng.integers(len(node.input)))] = str(_any(rng, _names(model)))


def _swap_inputs(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    node = _any(rng, model.graph.node)
    if node is not None:
        names = list(node.input)
        del node.input[:]
        node.input.extend(names[::-1])


def _more_inputs(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    node = _any(rng, model.graph.node)
    if node is not None:
        node.input.extend([str(_any(rng, _names(model)))] * 2)


def _rename_output(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    node = _any(rng, model.graph.node)
    if node is not None and node.output:
        node.output[0] = str(_any(rng, _names(model)))


def _other_operator(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    node = _any(rng, model.graph.node)
    if node is not None:
        kinds = ("Conv", "Gemm", "Softmax", "Nothing", "Loop", "If", "LSTM", "NonMaxSuppression", "Einsum", "Split", "")
        node.op_type = str(_any(rng, kinds))


def _attribute(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    nodes = [node for node in model.graph.node if node.attribute]
    node = _any(rng, nodes)
    if node is None:
        return
    attribute = _any(rng, node.attribute)
    kind = int(rng.integers(4))
    if kind == 0:
        node.attribute.remove(attribute)
    elif kind == 1:
        attribute.i = int(rng.integers(-9, 9))
        attribute.ints[:] = [int(i) for i in rng.integers(-3, 9, size=int(rng.integers(0, 5)))]
    elif kind == 2:
        attribute.name = "surprise"
    else:
        attribute.type = int(rng.integers(0, 12))


def _weight(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    tensor = _any(rng, model.graph.initializer)
    if tensor is None:
        return
    kind = int(rng.integers(6))
    if kind == 0:
        model.graph.initializer.remove(tensor)
    elif kind == 1:
        tensor.dims[:] = [int(i) for i in rng.integers(-1, 7, size=int(rng.integers(0, 5)))]
    elif kind == 2:
        tensor.data_type = int(rng.integers(0, 25))
    elif kind == 3:
        tensor.raw_data = tensor.raw_data[: len(tensor.raw_data) // 2]
    elif kind == 4:
        tensor.name = str(_any(rng, _names(model)))
    else:
        array = numpy_helper.to_array(tensor)
        spoilt = np.full_like(array, 0 if array.dtype.kind != "f" else _any(rng, [np.nan, np.inf, 1e30, 0]))
        tensor.CopyFrom(numpy_helper.from_array(spoilt, tensor.name))


def _declared(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    """Another type or shape of an input or output."""
    info = _any(rng, [*model.graph.input, *model.graph.output])
    if info is None:
        return
    kind = int(rng.integers(6))
    tensor = info.type.tensor_type
    if kind == 0:
        tensor.elem_type = int(rng.integers(0, 25))
    elif kind == 1:
        tensor.ClearField("shape")
    elif kind == 2:
        info.ClearField("type")
    elif kind == 3 and tensor.shape.dim:
        dim = _any(rng, tensor.shape.dim)
        dim.dim_value = int(_any(rng, [-1, 0, 1, 2, 5, 2**20, 2**40]))  # type: ignore[union-attr, call-overload]  # any value
    elif kind == 4 and tensor.shape.dim:
        del tensor.shape.dim[0]
    else:
        info.name = str(_any(rng, _names(model)))


def _version(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    kind = int(rng.integers(4))
    if kind == 0:
        model.ir_version = int(rng.integers(0, 20))
    elif kind == 1 and model.opset_import:
        model.opset_import[0].version = int(rng.integers(-1, 40))
    elif kind == 2:
        del model.opset_import[:]
    else:
        model.opset_import.extend([helper.make_opsetid("", 11)])


def _ends(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    kind = int(rng.integers(4))
    if kind == 0:
        del model.graph.output[:]
    elif kind == 1:
        del model.graph.input[:]
    elif kind == 2 and model.graph.output:
        model.graph.output.append(model.graph.output[0])
    elif model.graph.input:
        model.graph.input.append(model.graph.input[0])


def _metadata(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    keys = ("names", "camgraph.manifest", "stride", "labels")
    prop = model.metadata_props.add()
    prop.key, prop.value = str(_any(rng, keys)), str(_any(rng, ["{", "{}", "[]", "{0: 'a'}", "\x00", "null"]))


CHANGES: tuple[Change, ...] = (
    _drop_node, _double_node, _rewire, _rewire, _swap_inputs, _more_inputs, _rename_output, _other_operator, _attribute,
    _attribute, _weight, _weight, _declared, _declared, _version, _ends, _metadata,
)  # fmt: skip  # a table, in rows of its own


def mutated(rng: np.random.Generator, model: onnx.ModelProto) -> bytes:
    """Change a valid model in one to three places; now and then its bytes as well."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for _ in range(int(rng.integers(1, 4))):
        CHANGES[int(rng.integers(len(CHANGES)))](rng, copy)
    data = bytearray(copy.SerializeToString())
    if rng.random() < 0.1 and data:
        kind = int(rng.integers(3))
        place = int(rng.integers(len(data)))
        if kind == 0:
            del data[place:]
        elif kind == 1:
            data[place] = int(rng.integers(256))
        else:
            data += bytes(rng.integers(0, 256, size=10, dtype=np.uint8))
    return bytes(data)
