"""Element-wise arithmetic with NumPy broadcasting. The driver sums over the broadcast axes."""

from __future__ import annotations

import onnx_ir as ir

from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.backward import Backward, dtype_of
from camgraph_exporter.vjp.registry import NO_FLOW, Cotangents, vjp


@vjp("Add", broadcasts=True)
def add(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Da = g, db = g."""
    return g, g


@vjp("Sub", broadcasts=True)
def sub(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Da = g, db = -g."""
    return g, op.Neg(g) if node.needs(1) else None


@vjp("Mul", broadcasts=True)
def mul(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Da = g b, db = g a."""
    a, b = node.input(0), node.input(1)
    return op.Mul(g, b) if node.needs(0) else None, op.Mul(g, a) if node.needs(1) else None


@vjp("Div", broadcasts=True)
def div(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Da = g / b, db = -g y / b."""
    b = node.input(1)
    da = op.Div(g, b)
    return da, op.Neg(op.Mul(da, node.y)) if node.needs(1) else None


@vjp("Mod", broadcasts=True)
def mod(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Y = a - q b with a whole number q: da = g, db = -g q."""
    a, b = node.input(0), node.input(1)
    if not node.needs(1):
        return g, None
    quotient = op.Round(op.Div(op.Sub(a, node.y), b))
    return g, op.Neg(op.Mul(g, quotient))


@vjp("Pow", broadcasts=True)
def pow_(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Da = g b a^(b - 1), db = g y log(a); zero where the base or the exponent makes y constant, as 0^2 and a^0 do."""
    a = node.input(0)
    b = op.cast(node.input(1), dtype_of(a))
    da = op.Mul(g, _power_slope(op, a, b)) if node.needs(0) else None
    if not node.needs(1):
        return da, None
    # log(1) in the place of log(0): y is zero there whatever the exponent.
    safe = op.Add(a, op.indicator(op.Equal(a, 0), a))
    return da, op.Mul(g, op.Mul(node.y, op.Log(safe)))


def _power_slope(op: Backward, a: ir.Value, b: ir.Value) -> ir.Value:
    """Return b a^(b - 1), with 0 for b = 0 even at a = 0, where the product would be 0 times infinity."""
    known = op.known(b)
    if known is not None and (known == 1).all():
        return b
    if known is not None and (known == 2).all():
        return op.Mul(a, b)
    lowered = op.Sub(b, op.indicator(op.Not(op.Equal(b, 0)), b))
    return op.Mul(op.Pow(a, lowered), b)


@vjp("Max", "Min", broadcasts=True)
def extremum(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Each input gets g where it is the largest (smallest); inputs that tie share it evenly."""
    if node.num_inputs == 1:
        return g
    chosen = [op.indicator(op.Equal(node.input(i), node.y), g) for i in range(node.num_inputs)]
    ties = chosen[0]
    for mask in chosen[1:]:
        ties = op.Add(ties, mask)
    share = op.Div(g, ties)
    return [op.Mul(share, mask) if node.needs(i) else None for i, mask in enumerate(chosen)]


@vjp("Sum", broadcasts=True)
def sum_(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Every input gets g."""
    return [g] * node.num_inputs


@vjp("Mean", broadcasts=True)
def mean(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Every input gets g / (number of inputs)."""
    return [op.Mul(g, 1 / node.num_inputs)] * node.num_inputs


@vjp("Where", broadcasts=True)
def where(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Y = a where the condition holds, else b: da = g there, db = g elsewhere."""
    condition = node.input(0)
    da = op.gate(g, condition) if node.needs(1) else None
    return None, da, op.gate(g, op.Not(condition)) if node.needs(2) else None


@vjp("Range")
def range_(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """y_i = start + i delta: dstart = sum(g), ddelta = sum(i g); the limit only decides how many there are."""
    full = op.full(g, node.y)
    places = op.cast(op.arange(op.size_vector(node.y, 0)), dtype_of(g))
    return op.sum(full, [1]), NO_FLOW, op.sum(op.Mul(full, places), [1]) if node.needs(2) else None
