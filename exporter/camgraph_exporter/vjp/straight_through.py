"""Straight-through estimation: gradients of a quantised model (Bengio et al. 2013; docs/straight-through.md).

The cotangent of quantised integers is the gradient with respect to the real numbers that they stand for, (q - zero
point) * scale, so it needs no scaling on its way through integers. Rounding counts as the identity. Where the quantiser
may have clipped, nothing passes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx_ir as ir

from camgraph_exporter.errors import LATER_LAYER, GradientError
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.graph.quantisation import (
    DEQUANTISERS,
    KEEPS_SCALE,
    MICROSOFT,
    MOVES,
    QUANTISERS,
    SMALL_INTEGERS,
    Operand,
    RealForm,
    depends_on_no_input,
    is_dequantiser,
    is_quantiser,
    operators,
    quantisation_of,
    real_form,
)
from camgraph_exporter.graph.ranges import may_clip
from camgraph_exporter.vjp.backward import Backward

_KNOWS_INTEGERS = {*QUANTISERS, *DEQUANTISERS, *operators(), *(("", name) for name in KEEPS_SCALE)}
_POOLS = {"AveragePool", "GlobalAveragePool"}
_FORWARDS = MOVES | {"Cast"}
_SHIFTS = {"Add", "Sub"}


class RealView(NodeView):
    """A node on quantised integers, shown as the ordinary operator on real numbers that it stands for."""

    def __init__(self, node: NodeView, op: Backward, form: RealForm) -> None:
        super().__init__(node.node, op, node._needed)
        self._op = op
        self.form = form

    @property
    def op_type(self) -> str:
        """The ordinary operator."""
        return self.form.op_type

    def optional(self, index: int) -> ir.Value | None:
        """Return an operand as real numbers."""
        operand = self._operand(index)
        return self._op.real(operand.value, operand.quantisation) if operand is not None else None

    def source(self, index: int) -> ir.Value | None:
        """Return the integers of an operand."""
        operand = self._operand(index)
        return operand.value if operand is not None else None

    def output(self, index: int) -> ir.Value:
        """Return the result as real numbers: before it is quantised where that is cheap to compute again."""
        value = self.node.outputs[index]
        if self.form.output is None:
            return self._op.residual(value)
        if len(self.form.operands) == 1 and self.form.op_type not in _POOLS:
            attributes = {name: attribute.value for name, attribute in self.form.attributes.items()}
            return self._op.emit(self.form.op_type, [self.x], attributes)[0]
        return self._op.real(value, self.form.output)

    @property
    def num_inputs(self) -> int:
        """Number of operands."""
        return len(self.form.operands)

    def attr(self, name: str, default: object = None) -> object:
        """Return an attribute of the ordinary operator."""
        attribute = self.form.attributes.get(name)
        return default if attribute is None else attribute.value

    def const(self, index: int) -> np.ndarray | None:
        """Return the elements of an operand if they are known."""
        value = self.optional(index)
        return self._op.known(value)

    def _operand(self, index: int) -> Operand | None:
        return self.form.operands[index] if index < len(self.form.operands) else None


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


def integers_of(scores: Iterable[ir.Value]) -> set[ir.Value]:
    """Return the integers that scores are copies of, but for a constant that is added: the scores' own quantisation."""
    found: set[ir.Value] = set()
    for score in scores:
        value: ir.Value | None = score
        while value is not None:
            if value.dtype in SMALL_INTEGERS:
                found.add(value)
            node = value.producer()
            value = _shifted(node) if node is not None else None
    return found


def _shifted(node: ir.Node) -> ir.Value | None:
    """Return what a node moves, rounds or adds a constant to; None if it computes otherwise."""
    form = real_form(node)
    if (form.op_type if form is not None else node.op_type) in _SHIFTS:
        terms = [operand.value for operand in form.operands] if form is not None else list(node.inputs)
        varying = [x for x in terms if x is not None and not depends_on_no_input(x)]
        return varying[0] if len(varying) == 1 else None
    moved = (node.domain == "" and node.op_type in _FORWARDS) or is_dequantiser(node) or is_quantiser(node)
    return node.inputs[0] if moved and node.inputs else None


def check_integers(nodes: Iterable[ir.Node], values: set[ir.Value]) -> None:
    """Raise for a node that computes with quantised integers as if they were plain numbers.

    Raises:
        GradientError: an operator on the path between layer and score that has no meaning on quantised integers.

    """
    for node in nodes:
        small = [
            value for value in node.inputs if value in values and value is not None and value.dtype in SMALL_INTEGERS
        ]
        if any(map(quantisation_of, small)) and (node.domain, node.op_type) not in _KNOWS_INTEGERS:
            raise GradientError(
                f"{node.op_type} node {node.name or node.outputs[0].name!r} computes with quantised integers "
                "without their scale, which has no "
                f"derivative. {LATER_LAYER}."
            )


def refuse_channels_last(node: NodeView) -> None:
    """Raise for the channels-last variants of com.microsoft operators, which no trained model has."""
    attribute = node.node.attributes.get("channels_last")
    if node.node.domain == MICROSOFT and attribute is not None and attribute.value:
        raise GradientError(
            f"{node.node.op_type} node {node.name!r} is in the channels-last form of an optimised file. "
            "Export from the model as it was before optimisation."
        )
