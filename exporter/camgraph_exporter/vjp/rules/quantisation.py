"""Quantised operators, by straight-through estimation (Bengio et al. 2013; docs/straight-through.md).

The cotangent of quantised integers is the gradient with respect to the real numbers that they stand for, (q - zero
point) * scale, so it needs no scaling on its way through integers. Rounding counts as the identity. Where the quantiser
may have clipped, nothing passes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from camgraph_exporter.errors import LATER_LAYER, GradientError
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.graph.traits import MICROSOFT
from camgraph_exporter.quantised.forms import Operand, quantisation_of, real_form
from camgraph_exporter.quantised.ranges import may_clip
from camgraph_exporter.quantised.residuals import scale_along
from camgraph_exporter.vjp import registry
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.real_view import RealView
from camgraph_exporter.vjp.registry import Cotangents, vjp


def quantize_linear(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g where q is not at an end of its integer type, or cannot have been clipped there."""
    return inside_range(op, node.node, g)


def dequantize_linear(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g: small integers have the cotangent of the real numbers they stand for; g scale for an int32 sum."""
    if node.x.dtype != ir.DataType.INT32:
        return g
    scale = scale_along(op, node.input(1), node.attr_int("axis", 1), node.rank)
    return op.Mul(g, scale)


@vjp("DynamicQuantizeLinear")
def dynamic_quantize_linear(op: Backward, node: NodeView, g: ir.Value | None, *_range: ir.Value | None) -> Cotangents:
    """Dx = g: the range fits the tensor, so nothing is clipped; scale and zero point count as constants."""
    return g


def by_real_form(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """As the ordinary operator on the real numbers that the operands stand for, inside the range of the result."""
    _refuse_channels_last(node)
    form = real_form(node.node)
    assert form is not None
    g = inside_range(op, node.node, g) if form.output is not None else g
    _refuse_flattening_softmax(node)
    found: dict[int, ir.Value | None] = {}
    for operand, cotangent in zip(form.operands, _ordinary(op, RealView(node, op, form), g), strict=False):
        found[operand.index] = _in_real_units(op, node, operand, cotangent)
    return [found.get(index) for index in range(node.num_inputs)]


def _ordinary(op: Backward, view: RealView, g: ir.Value) -> list[ir.Value | None]:
    """Apply the rule of the ordinary operator; return the cotangents of its operands, in their shapes."""
    entry = registry.named(view.op_type)
    assert entry is not None
    assert entry.rule is not None
    result: Any = entry.rule(op, view, g)
    returned = [result] if isinstance(result, ir.Value) or result is None else list(result)
    if not entry.broadcasts:
        return returned
    return [
        op.unbroadcast(cotangent, view.y, view.input(i)) if cotangent is not None and view.needs(i) else None
        for i, cotangent in enumerate(returned)
    ]


def _in_real_units(op: Backward, node: NodeView, operand: Operand, g: ir.Value | None) -> ir.Value | None:
    """Turn a cotangent of integers that stand for themselves, as in ConvInteger, into one of the real numbers."""
    if g is None or operand.quantisation.scales or not node.needs(operand.index):
        return g
    found = quantisation_of(operand.value)
    if found is None:
        raise GradientError(
            f"Nothing in the model says by which scale the integers {operand.value.name!r} of {node.op_type} "
            f"node {node.name!r} stand for real numbers. "
            f"{LATER_LAYER}."
        )
    for scale in found.scales:
        g = op.Div(g, scale_along(op, scale, found.axis, len(dims_of(operand.value))))
    return g


def inside_range(op: Backward, node: ir.Node, g: ir.Value) -> ir.Value:
    """Let a cotangent of quantised integers pass where the quantising `node` cannot have clipped.

    That is where the integer is not at an end of its type. A quantiser that serves as ReLU or ReLU6, its zero point at
    the end of the range, thus blocks exactly what those block. Where bounds of the operator's result rule clipping out,
    an integer at the end is an ordinary value and passes; so do the integers of the score itself, as does a saturated
    softmax.
    """
    q = node.outputs[0]
    if q in op.score_integers:
        return g
    low, high = may_clip(node, op.known)
    assert q.dtype is not None
    limits = np.iinfo(q.dtype.numpy())
    inside = [op.Greater(q, limits.min)] if low else []
    inside += [op.Less(q, limits.max)] if high else []
    if not inside:
        return g
    return op.gate(g, inside[0] if len(inside) == 1 else op.And(*inside))


def _refuse_channels_last(node: NodeView) -> None:
    """Raise for the channels-last variants of com.microsoft operators, which no trained model has."""
    attribute = node.node.attributes.get("channels_last")
    if node.node.domain == MICROSOFT and attribute is not None and attribute.value:
        raise GradientError(
            f"{node.node.op_type} node {node.name!r} is in the channels-last form of an optimised file. "
            "Export from the model as it was before optimisation."
        )


def _refuse_flattening_softmax(node: NodeView) -> None:
    opset = node.attr_int("opset", 13)
    if (
        node.op_type == "QLinearSoftmax"
        and opset < 13
        and node.attr_int("axis", -1) not in (-1, len(dims_of(node.y)) - 1)
    ):
        raise GradientError(
            f"QLinearSoftmax node {node.name!r} runs over several axes at once, as opsets below 13 had it, "
            "which has no derivative here. "
            f"{LATER_LAYER}."
        )


for _domain in ("", MICROSOFT):
    vjp("QuantizeLinear", domain=_domain)(quantize_linear)
    vjp("DequantizeLinear", domain=_domain)(dequantize_linear)
vjp("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger")(by_real_form)
vjp(
    "QGemm",
    "QLinearAdd",
    "QLinearAveragePool",
    "QLinearConcat",
    "QLinearGlobalAveragePool",
    "QLinearLeakyRelu",
    "QLinearMul",
    "QLinearSigmoid",
    "QLinearSoftmax",
    domain=MICROSOFT,
)(by_real_form)
