"""Activations: element-wise. Masks come from the output where that keeps Conv and activation fused."""

from __future__ import annotations

import math

import onnx_ir as ir

from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.registry import Cotangents, elementwise, vjp

# The constants of Klambauer et al., Self-Normalizing Neural Networks, as the standard rounds them.
_SELU_ALPHA = 1.67326319217681884765625
_SELU_GAMMA = 1.05070102214813232421875


@vjp("Relu")
def relu(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g where y > 0."""
    return op.gate(g, op.above_zero(node.y))


@elementwise("LeakyRelu")
def leaky_relu(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = 1 where x > 0, alpha elsewhere."""
    alpha = node.attr_float("alpha", 0.01)
    return _two_sided(op, op.Greater(_kink(node, alpha), 0), node.x, alpha)


@vjp("PRelu", broadcasts=True)
def prelu(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g where x > 0, g slope elsewhere; dslope = g x where x <= 0."""
    x, slope = node.x, node.input(1)
    dx = op.Mul(g, _two_sided(op, op.Greater(x, 0), x, slope)) if node.needs(0) else None
    return dx, op.Mul(g, op.Min(x, 0)) if node.needs(1) else None


@elementwise("Elu")
def elu(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = 1 where x > 0, alpha exp(x) = y + alpha elsewhere."""
    alpha = node.attr_float("alpha", 1.0)
    return _two_sided(op, op.Greater(_kink(node, alpha), 0), node.x, op.Add(node.y, alpha))


@elementwise("Selu")
def selu(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = gamma where x > 0, gamma alpha exp(x) = y + gamma alpha elsewhere."""
    gamma = node.attr_float("gamma", _SELU_GAMMA)
    slope = gamma * node.attr_float("alpha", _SELU_ALPHA)
    return _two_sided(op, op.Greater(node.x, 0), node.x, op.Add(node.y, slope), gamma)


@elementwise("Celu")
def celu(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = 1 where x > 0, exp(x / alpha) = y / alpha + 1 elsewhere."""
    slope = op.Add(op.Mul(node.y, 1 / node.attr_float("alpha", 1.0)), 1)
    return _two_sided(op, op.Greater(node.y, 0), node.x, slope)


@vjp("ThresholdedRelu")
def thresholded_relu(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g where x > alpha."""
    return op.gate(g, op.Greater(node.x, node.attr_float("alpha", 1.0)))


@vjp("Shrink")
def shrink(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g where |x| > lambd; the bias only shifts."""
    return op.gate(g, op.Greater(op.Abs(node.x), node.attr_float("lambd", 0.5)))


@vjp("Clip")
def clip(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g where min < y < max: exclusive at the bounds, as ReLU6 has it."""
    low, high = node.optional(1), node.optional(2)
    inside = []
    if low is not None:
        zero = node.const(1)
        inside += [op.above_zero(node.y) if zero is not None and not zero.any() else op.Greater(node.y, low)]
    inside += [op.Less(node.y, high)] if high is not None else []
    if not inside:
        return g
    return op.gate(g, inside[0] if len(inside) == 1 else op.And(*inside))


@elementwise("Sigmoid")
def sigmoid(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = y (1 - y)."""
    return op.Mul(node.y, op.Sub(1, node.y))


@elementwise("Tanh")
def tanh(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = 1 - y^2."""
    return op.Sub(1, op.Mul(node.y, node.y))


@elementwise("HardSigmoid")
def hard_sigmoid(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = alpha where 0 < y < 1."""
    inside = op.And(op.above_zero(node.y), op.Less(node.y, 1))
    return op.Mul(op.indicator(inside, node.y), node.attr_float("alpha", 0.2))


@elementwise("HardSwish", opset=14)
def hard_swish(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = h + (h - 1/2) where 0 < h < 1, h elsewhere; h = clip(x / 6 + 1/2, 0, 1)."""
    h = op.HardSigmoid(node.x, alpha=1 / 6, beta=0.5)
    inside = op.And(op.above_zero(h), op.Less(h, 1))
    return op.Add(h, op.gate(op.Sub(h, 0.5), inside))


@elementwise("Swish", opset=24)
def swish(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = s + alpha y (1 - s) with s = sigmoid(alpha x)."""
    alpha = node.attr_float("alpha", 1.0)
    s = op.Sigmoid(op.Mul(node.x, alpha) if alpha != 1 else node.x)
    rest = op.Mul(node.y, op.Sub(1, s))
    return op.Add(s, op.Mul(rest, alpha) if alpha != 1 else rest)


@elementwise("Mish", opset=18)
def mish(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = t + x sigmoid(x) (1 - t^2) with t = tanh(softplus(x)) (Misra 2019, arXiv:1908.08681)."""
    x = node.x
    t = op.Tanh(op.Softplus(x))
    return op.Add(t, op.Mul(op.Mul(x, op.Sigmoid(x)), op.Sub(1, op.Mul(t, t))))


@elementwise("Gelu", opset=20)
def gelu(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = Phi(x) + x phi(x): the normal distribution and its density (Hendrycks and Gimpel, arXiv:1606.08415)."""
    x = node.x
    if node.attr_text("approximate", "none") == "tanh":
        return _gelu_tanh(op, x)
    distribution = op.Mul(op.Add(op.Erf(op.Mul(x, math.sqrt(0.5))), 1), 0.5)
    density = op.Mul(op.Exp(op.Mul(op.Mul(x, x), -0.5)), 1 / math.sqrt(2 * math.pi))
    return op.Add(distribution, op.Mul(x, density))


def _gelu_tanh(op: Backward, x: ir.Value) -> ir.Value:
    """Differentiate x (1 + t) / 2 with t = tanh(c (x + 0.044715 x^3)), c = sqrt(2 / pi)."""
    c, cubic = math.sqrt(2 / math.pi), 0.044715
    square = op.Mul(x, x)
    t = op.Tanh(op.Mul(x, op.Add(op.Mul(square, c * cubic), c)))
    inner = op.Mul(x, op.Add(op.Mul(square, 3 * c * cubic), c))
    return op.Mul(op.Add(op.Add(t, 1), op.Mul(inner, op.Sub(1, op.Mul(t, t)))), 0.5)


@elementwise("Softplus")
def softplus(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = sigmoid(x)."""
    return op.Sigmoid(node.x)


@elementwise("Softsign")
def softsign(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = 1 / (1 + |x|)^2."""
    below = op.Add(op.Abs(node.x), 1)
    return op.Reciprocal(op.Mul(below, below))


@elementwise("Erf")
def erf(op: Backward, node: NodeView) -> ir.Value:
    """dy/dx = 2 / sqrt(pi) exp(-x^2)."""
    return op.Mul(op.Exp(op.Neg(op.Mul(node.x, node.x))), 2 / math.sqrt(math.pi))


def _kink(node: NodeView, alpha: float) -> ir.Value:
    """Return what tells the sides of a kink at zero apart: y, at hand after a fused Conv, if it has the sign of x."""
    return node.y if alpha >= 0 else node.x


def _two_sided(op: Backward, right: ir.Value, like: ir.Value, below: ir.Value | float, above: float = 1.0) -> ir.Value:
    """Return the slope `above` where the condition `right` holds and `below` elsewhere, each exactly."""
    mask = op.indicator(right, like)
    rest = op.Mul(op.Sub(1, mask), below)
    return op.Add(rest, op.Mul(mask, above) if above != 1 else mask)
