"""How integers stand for real numbers: real = (q - zero point) * scale, and which operators compute on such integers.

An operator on quantised integers, such as QLinearConv, does what an ordinary operator does to the real numbers that its
operands stand for, and then quantises the result. `real_form` says which one, so that everything else needs to know the
ordinary operator only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

import onnx_ir as ir

from camgraph_exporter.graph.element_types import SMALL_INTEGERS
from camgraph_exporter.graph.traits import MICROSOFT, Trait, has
from camgraph_exporter.graph.walk import required


@dataclass(frozen=True)
class Quantisation:
    """real = (q - zero_point) * product of `scales` * factor; vectors lie along `axis`.

    No scales: the integers stand for themselves.
    """

    scales: tuple[ir.Value, ...]
    zero_point: ir.Value | None = None
    axis: int = 1
    factor: float = 1.0


@dataclass(frozen=True)
class Operand:
    """An input of an operator on integers that is an operand of its real form."""

    index: int
    value: ir.Value
    quantisation: Quantisation


@dataclass(frozen=True)
class RealForm:
    """The ordinary operator that an operator on quantised integers stands for.

    `output`: how the result is quantised again; None where the operator's own output is not (float, or the integer sum
    itself).
    """

    op_type: str
    operands: tuple[Operand, ...]
    output: Quantisation | None
    attributes: dict[str, ir.Attr] = field(default_factory=dict)


def is_quantiser(node: ir.Node) -> bool:
    """Tell whether a node turns real numbers into quantised integers."""
    return has(node, Trait.QUANTISES)


def is_dequantiser(node: ir.Node) -> bool:
    """Tell whether a node turns quantised integers into real numbers."""
    return has(node, Trait.DEQUANTISES)


def real_form(node: ir.Node) -> RealForm | None:
    """Return the ordinary operator that a node on quantised integers stands for; None for any other node."""
    make = FORMS.get((node.domain, node.op_type))
    return make(node) if make is not None else None


def clips(node: ir.Node) -> bool:
    """Tell whether a node limits its results to the range of an integer type."""
    if is_quantiser(node):
        return node.op_type != "DynamicQuantizeLinear"
    form = real_form(node)
    return form is not None and form.output is not None


def stated_by(node: ir.Node) -> Quantisation:
    """Return the scale and zero point that a quantiser or dequantiser has among its inputs."""
    return Quantisation((required(node, 1),), _input(node, 2), _attribute(node, "axis", 1))


def quantisation_of(value: ir.Value) -> Quantisation | None:
    """Return how an integer value stands for real numbers, or None if nothing in the graph says so."""
    node = value.producer()
    if node is None:
        return _by_consumers(value)
    if node.op_type == "DynamicQuantizeLinear" and node.domain == "":
        return Quantisation((node.outputs[1],), node.outputs[2]) if value is node.outputs[0] else None
    if is_quantiser(node) or is_dequantiser(node):
        return stated_by(node) if is_quantiser(node) else None
    form = real_form(node)
    if form is not None:
        return form.output
    source = node.inputs[0] if node.inputs else None
    if source is None or not has(node, Trait.KEEPS_SCALE):
        return None
    found = quantisation_of(source)
    if found is None:
        # Integers of the image that were moved: their readers know what they stand for.
        return _by_consumers(value)
    # A vector of scales belongs to an axis, which may have moved.
    return found if all(_is_scalar(scale) for scale in found.scales) else None


def scale_and_zero_point(value: ir.Value) -> tuple[float, int] | None:
    """Return the numbers by which an integer value stands for real ones, if the graph states one pair for all of it."""
    if value.dtype not in SMALL_INTEGERS:
        return None
    found = quantisation_of(value)
    stated = () if found is None else (*found.scales, found.zero_point)
    arrays = [tensor.const_value.numpy() for tensor in stated if tensor is not None and tensor.const_value is not None]
    if found is None or len(arrays) < len(found.scales) + (found.zero_point is not None):
        return None
    if not found.scales or any(array.size != 1 for array in arrays):
        return None
    scales = [float(array.item()) for array in arrays[: len(found.scales)]]
    return found.factor * prod(scales), int(arrays[-1].item()) if found.zero_point is not None else 0


def dequantised(value: ir.Value) -> ir.Value | None:
    """Return the real numbers that the graph itself makes of an integer value, or None if it does not."""
    for use in value.uses():
        if is_dequantiser(use.node) and use.idx == 0:
            return use.node.outputs[0]
    return None


def quantised_twin(value: ir.Value) -> ir.Value | None:
    """Return what a real value becomes by being quantised at once and dequantised again, if nothing else reads it.

    The deployed runtime never holds such a value: it computes the integers in one step with the operator before it.
    """
    uses = list(value.uses())
    if len(uses) != 1 or value.is_graph_output() or uses[0].idx != 0 or not is_quantiser(uses[0].node):
        return None
    return dequantised(uses[0].node.outputs[0])


def shown(value: ir.Value) -> ir.Value | None:
    """Return the real numbers of the graph that show an integer value: after it or, failing that, before it."""
    if value.dtype not in SMALL_INTEGERS:
        return value
    node = value.producer()
    before = node.inputs[0] if node is not None and is_quantiser(node) else None
    return dequantised(value) or before


def maker(value: ir.Value) -> ir.Node | None:
    """Return the operator that computes a value, looking through its quantisers and dequantisers."""
    node = value.producer()
    while node is not None and (is_quantiser(node) or is_dequantiser(node)) and node.inputs[0] is not None:
        node = node.inputs[0].producer()
    return node


def _by_consumers(value: ir.Value) -> Quantisation | None:
    """Return how the readers of a graph input or an initializer understand it."""
    for use in value.uses():
        if is_dequantiser(use.node) and use.idx == 0:
            return stated_by(use.node)
        form = real_form(use.node)
        for operand in form.operands if form is not None else ():
            if operand.value is value and operand.quantisation.scales:
                return operand.quantisation
    return None


def _is_scalar(value: ir.Value) -> bool:
    return value.shape is not None and all(dim == 1 for dim in value.shape)


def _input(node: ir.Node, index: int) -> ir.Value | None:
    return node.inputs[index] if index < len(node.inputs) else None


def _attribute(node: ir.Node, name: str, default: Any) -> Any:
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.value


# --- one function a kind of operator ----------------------------------------------------------------------------------


def _triple(node: ir.Node, index: int, axis: int = 1) -> Operand:
    """Read an operand that is given as value, scale, zero point."""
    value, scale = required(node, index), required(node, index + 1)
    return Operand(index, value, Quantisation((scale,), _input(node, index + 2), axis))


def _pair(node: ir.Node, index: int) -> Quantisation:
    """Read how the result is quantised: scale, zero point."""
    return Quantisation((required(node, index),), _input(node, index + 1))


def _sum_operand(node: ir.Node, index: int, *factors: Operand, factor: float = 1.0) -> tuple[Operand, ...]:
    """Read the int32 bias that is added to the sum of products; its scale is the product of their scales."""
    value = _input(node, index)
    if value is None:
        return ()
    scales = tuple(scale for operand in factors for scale in operand.quantisation.scales)
    return (Operand(index, value, Quantisation(scales, axis=-1, factor=factor)),)


def _qlinear_conv(node: ir.Node) -> RealForm:
    x, w = _triple(node, 0), _triple(node, 3, axis=0)
    return RealForm("Conv", (x, w, *_sum_operand(node, 8, x, w)), _pair(node, 6), dict(node.attributes))


def _qlinear_matmul(node: ir.Node) -> RealForm:
    return RealForm("MatMul", (_triple(node, 0, axis=-2), _triple(node, 3, axis=-1)), _pair(node, 6))


def _qgemm(node: ir.Node) -> RealForm:
    a = _triple(node, 0)
    b = _triple(node, 3, axis=0 if _attribute(node, "transB", 0) else 1)
    bias = _sum_operand(node, 6, a, b, factor=float(_attribute(node, "alpha", 1.0)))
    return RealForm(
        "Gemm", (a, b, *bias), _pair(node, 7) if _input(node, 7) is not None else None, dict(node.attributes)
    )


def _binary(op_type: str) -> Callable[[ir.Node], RealForm]:
    return lambda node: RealForm(op_type, (_triple(node, 0), _triple(node, 3)), _pair(node, 6))


def _unary(op_type: str, *attributes: str) -> Callable[[ir.Node], RealForm]:
    def form(node: ir.Node) -> RealForm:
        kept = {name: node.attributes[name] for name in attributes if name in node.attributes}
        return RealForm(op_type, (_triple(node, 0),), _pair(node, 3), kept)

    return form


def _qlinear_concat(node: ir.Node) -> RealForm:
    operands = tuple(_triple(node, index) for index in range(2, len(node.inputs), 3))
    return RealForm("Concat", operands, _pair(node, 0), dict(node.attributes))


def _integer_product(op_type: str) -> Callable[[ir.Node], RealForm]:
    """ConvInteger and MatMulInteger: the operands less their zero points; the graph scales the sum itself."""

    def form(node: ir.Node) -> RealForm:
        axes = (1, 0) if op_type == "Conv" else (-2, -1)
        operands = (
            Operand(index, required(node, index), Quantisation((), _input(node, index + 2), axis))
            for index, axis in enumerate(axes)
        )
        return RealForm(op_type, tuple(operands), None, dict(node.attributes))

    return form


_POOLING = ("auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides")

FORMS: dict[tuple[str, str], Callable[[ir.Node], RealForm]] = {
    ("", "ConvInteger"): _integer_product("Conv"),
    ("", "MatMulInteger"): _integer_product("MatMul"),
    ("", "QLinearConv"): _qlinear_conv,
    ("", "QLinearMatMul"): _qlinear_matmul,
    (MICROSOFT, "QGemm"): _qgemm,
    (MICROSOFT, "QLinearAdd"): _binary("Add"),
    (MICROSOFT, "QLinearMul"): _binary("Mul"),
    (MICROSOFT, "QLinearAveragePool"): _unary("AveragePool", *_POOLING),
    (MICROSOFT, "QLinearGlobalAveragePool"): _unary("GlobalAveragePool"),
    (MICROSOFT, "QLinearConcat"): _qlinear_concat,
    (MICROSOFT, "QLinearLeakyRelu"): _unary("LeakyRelu", "alpha"),
    (MICROSOFT, "QLinearSigmoid"): _unary("Sigmoid"),
    (MICROSOFT, "QLinearSoftmax"): _unary("Softmax", "axis"),
}
