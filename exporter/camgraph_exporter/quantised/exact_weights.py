"""Stores 8-bit weights so that onnxruntime's exact kernels take them (docs/int8.md).

Where those kernels are asked for, onnxruntime turns int8 weights w into the uint8 weights w + 128 as it loads the file.
It refuses a file in which two nodes share a zero point or the weights themselves, or whose zero points of several
scales are left out. It overlooks QLinearMatMul from opset 21 on. Here every node gets a zero point of its own; shared
and overlooked weights become uint8 already in the file, once. All of this stands for the same numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from camgraph_exporter.graph.constants import add_constant
from camgraph_exporter.graph.passes import notes_of
from camgraph_exporter.graph.traits import Trait, named
from camgraph_exporter.quantised.forms import is_dequantiser, real_form

_OVERLOOKED_FROM_OPSET = 21
# Sums of two products with smaller weights fit into 16 bits, so onnxruntime leaves these as they are.
_HARMLESS = 64
_HALF_RANGE = 128

_NOTE = (
    "The int8 weights {} are stored as uint8 with a zero point that is 128 larger, which stands for the same numbers: "
    "onnxruntime's exact kernels do not take them as int8."
)


@dataclass(frozen=True)
class _Reader:
    """A node that understands int8 weights by a zero point. `zero_point_index`: the input that it is, or would be."""

    node: ir.Node
    weights: ir.Value
    zero_point_index: int

    @property
    def zero_point(self) -> ir.Value | None:
        index = self.zero_point_index
        return self.node.inputs[index] if index < len(self.node.inputs) else None


class StoreExactlyPass(InPlacePass):
    """Stores zero points and weights of 8 bits so that exact kernels take them, and notes which weights are uint8."""

    def call(self, model: ir.Model) -> PassResult:
        """Look at all large weights and those who read them."""
        groups: defaultdict[ir.Value, list[_Reader]] = defaultdict(list)
        for node in model.graph:
            reader = _reader(node)
            if reader is not None:
                groups[reader.weights].append(reader)
        unsigned, modified = [], False
        for weights, readers in groups.items():
            if not _is_large(weights):
                continue
            if _is_refused(readers, model.opset_imports[""]) and _may_be_unsigned(weights, readers):
                _make_unsigned(model.graph, weights, readers)
                unsigned.append(str(weights.name))
            else:
                for reader in readers:
                    modified |= _give_own_zero_point(model.graph, reader)
        if unsigned:
            notes_of(model).append(_NOTE.format(", ".join(map(repr, unsigned))))
        return PassResult(model, modified or bool(unsigned))


def has_int8_weights(model: ir.Model) -> bool:
    """Tell whether a model has int8 constants, as initializers or as nodes."""
    tensors = [value.const_value for value in model.graph.initializers.values()]
    tensors += [node.attributes["value"].as_tensor() for node in model.graph if "value" in node.attributes]
    return any(tensor is not None and tensor.dtype == ir.DataType.INT8 for tensor in tensors)


def may_saturate(model: ir.Model) -> bool:
    """Tell whether a model has 8-bit sums that default kernels may get wrong on a CPU without VNNI (docs/int8.md)."""
    return any(_may_saturate(node) for node in model.graph)


def _may_saturate(node: ir.Node) -> bool:
    """Of types that are not known, say yes."""
    if is_dequantiser(node):
        # onnxruntime fuses it with the product after it, and int8 activations become uint8 there.
        weights = node.inputs[0]
        return weights is not None and weights.const_value is not None and weights.dtype == ir.DataType.INT8
    form = real_form(node)
    if form is None or not named(form.op_type).traits & Trait.PRODUCT:
        return False
    x, w = (_type_of(part.quantisation.zero_point) or _type_of(part.value) for part in form.operands[:2])
    if node.op_type == "ConvInteger":
        return x != ir.DataType.UINT8 and w != ir.DataType.INT8
    return x != ir.DataType.INT8 and w != ir.DataType.UINT8


def _type_of(value: ir.Value | None) -> ir.DataType | None:
    """Return the element type, also of a dynamic quantiser's outputs that the file does not state."""
    node = value.producer() if value is not None else None
    if node is not None and node.op_type == "DynamicQuantizeLinear":
        return ir.DataType.UINT8
    return None if value is None else value.dtype


def _reader(node: ir.Node) -> _Reader | None:
    form = real_form(node)
    weights: ir.Value | None
    if form is not None and named(form.op_type).traits & Trait.PRODUCT:
        weights, index = form.operands[1].value, form.operands[1].index
    elif is_dequantiser(node):
        weights, index = node.inputs[0], 0
    else:
        return None
    if weights is None or weights.const_value is None or weights.const_value.dtype != ir.DataType.INT8:
        return None
    reader = _Reader(node, weights, index + 2)
    known = reader.zero_point is None or reader.zero_point.const_value is not None
    return reader if known else None


def _is_large(weights: ir.Value) -> bool:
    array = _array(weights).astype(np.int16)
    return bool(np.abs(array).max(initial=0) > _HARMLESS)


def _is_refused(readers: Sequence[_Reader], opset: int) -> bool:
    """Tell whether several products have the weights, or one that onnxruntime overlooks."""
    products = 0
    for reader in readers:
        products += len(list(reader.node.outputs[0].uses())) if is_dequantiser(reader.node) else 1
        if reader.node.op_type == "QLinearMatMul" and opset >= _OVERLOOKED_FROM_OPSET:
            return True
    return products > 1


def _may_be_unsigned(weights: ir.Value, readers: Sequence[_Reader]) -> bool:
    """Tell whether all readers are known and have kernels for uint8 weights: with int8 activations few have."""
    known = {reader.node for reader in readers}
    return not weights.is_graph_output() and all(
        use.node in known and _takes_unsigned(use.node) for use in weights.uses()
    )


def _takes_unsigned(node: ir.Node) -> bool:
    form = real_form(node)
    if form is None or form.output is None:
        return True
    zero_point = form.operands[0].quantisation.zero_point
    return zero_point is not None and zero_point.const_value is not None and zero_point.dtype == ir.DataType.UINT8


def _make_unsigned(graph: ir.Graph, weights: ir.Value, readers: Sequence[_Reader]) -> None:
    unsigned = add_constant(graph, str(weights.name), _moved(_array(weights)))
    for reader in readers:
        zero_point = reader.zero_point
        array = _array(zero_point) if zero_point is not None else _zeros(reader)
        _set_zero_point(reader, add_constant(graph, f"{weights.name}_zero_point", _moved(array)))
    weights.replace_all_uses_with(unsigned)
    _drop_unused(graph, weights)


def _moved(array: np.ndarray) -> np.ndarray:
    """Return int8 numbers plus 128 as uint8."""
    return (array.astype(np.int16) + _HALF_RANGE).astype(np.uint8)


def _zeros(reader: _Reader) -> np.ndarray:
    """Return the zero points that an absent input stands for: of a dequantiser, as many as there are scales."""
    scale = reader.node.inputs[1] if is_dequantiser(reader.node) else None
    shape = scale.const_value.shape.numpy() if scale is not None and scale.const_value is not None else ()
    return np.zeros(shape, np.int8)


def _give_own_zero_point(graph: ir.Graph, reader: _Reader) -> bool:
    """Copy a zero point that other nodes read too; write one down where it is absent and there are many scales.

    Tell whether there was need of either.
    """
    zero_point = reader.zero_point
    shared = zero_point is not None and len(list(zero_point.uses())) > 1
    absent = zero_point is None and _zeros(reader).ndim > 0
    if shared or absent:
        array = _array(zero_point) if zero_point is not None else _zeros(reader)
        _set_zero_point(reader, add_constant(graph, f"{reader.weights.name}_zero_point", array))
    return shared or absent


def _set_zero_point(reader: _Reader, value: ir.Value) -> None:
    node, index, old = reader.node, reader.zero_point_index, reader.zero_point
    if index >= len(node.inputs):
        node.resize_inputs(index + 1)
    node.replace_input_with(index, value)
    if old is not None and node.graph is not None:
        _drop_unused(node.graph, old)


def _drop_unused(graph: ir.Graph, value: ir.Value) -> None:
    if not list(value.uses()) and not value.is_graph_output() and str(value.name) in graph.initializers:
        del graph.initializers[str(value.name)]


def _array(value: ir.Value) -> np.ndarray:
    assert value.const_value is not None
    return value.const_value.numpy()
