"""Functions of one number, element by element. Each function here returns dy/dx, from y where that is cheaper."""

from __future__ import annotations

import onnx_ir as ir

from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.registry import Cotangents, elementwise, vjp


@vjp("Neg")
def neg(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = -g."""
    return op.Neg(g)


@elementwise("Abs")
def abs_(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = sign(x); zero at zero."""
    return op.Sign(node.x)


@elementwise("Reciprocal")
def reciprocal(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = -y^2."""
    return op.Neg(op.Mul(node.y, node.y))


@elementwise("Sqrt")
def sqrt(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = 1 / (2 y)."""
    return op.Div(0.5, node.y)


@elementwise("Exp")
def exp(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = y."""
    return node.y


@vjp("Log")
def log(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g / x."""
    return op.Div(g, node.x)


@elementwise("Sin")
def sin(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = cos(x)."""
    return op.Cos(node.x)


@elementwise("Cos")
def cos(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = -sin(x)."""
    return op.Neg(op.Sin(node.x))


@elementwise("Tan")
def tan(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = 1 + y^2."""
    return op.Add(op.Mul(node.y, node.y), 1)


@elementwise("Asin")
def asin(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = 1 / sqrt(1 - x^2)."""
    return op.Reciprocal(op.Sqrt(_one_minus_square(op, node.x)))


@elementwise("Acos")
def acos(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = -1 / sqrt(1 - x^2)."""
    return op.Neg(op.Reciprocal(op.Sqrt(_one_minus_square(op, node.x))))


@elementwise("Atan")
def atan(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = 1 / (1 + x^2)."""
    return op.Reciprocal(op.Add(op.Mul(node.x, node.x), 1))


@elementwise("Sinh")
def sinh(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = cosh(x)."""
    return op.Cosh(node.x)


@elementwise("Cosh")
def cosh(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = sinh(x)."""
    return op.Sinh(node.x)


@elementwise("Asinh")
def asinh(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = 1 / sqrt(x^2 + 1)."""
    return op.Reciprocal(op.Sqrt(op.Add(op.Mul(node.x, node.x), 1)))


@elementwise("Acosh")
def acosh(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = 1 / sqrt(x^2 - 1), as 1 / sqrt((x - 1) (x + 1)), which is exact near 1."""
    return op.Reciprocal(op.Sqrt(op.Mul(op.Sub(node.x, 1), op.Add(node.x, 1))))


@elementwise("Atanh")
def atanh(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = 1 / (1 - x^2)."""
    return op.Reciprocal(_one_minus_square(op, node.x))


def _one_minus_square(op: Backward, x: ir.Value) -> ir.Value:
    """Return 1 - x^2 as (1 - x) (1 + x), which loses no digits near 1."""
    return op.Mul(op.Sub(1, x), op.Add(x, 1))
