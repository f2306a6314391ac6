"""Normalisation layers in inference mode.

With x_hat = (x - mean) / std, the cotangent h of x_hat gives dx = (h - mean(h) - x_hat mean(h x_hat)) / std, with means
over the same axes (Ioffe and Szegedy 2015, arXiv:1502.03167, section 3, put together). The statistics are computed
from x again: the forward part stays as it was authored, without the optional outputs that some runtimes lack.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from camgraph_exporter.errors import GradientError
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.axes import reshape_to, sizes_of
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.registry import Cotangents, refuse_outputs, vjp


@vjp("BatchNormalization")
def batch_normalization(op: Backward, node: NodeView, g: ir.Value, *_running: ir.Value | None) -> Cotangents:
    """Dx = g scale / sqrt(var + eps): with running statistics it is a linear map per channel."""
    if node.attr_flag("training_mode"):
        raise GradientError(
            f"BatchNormalization node {node.name!r} is in training mode; export the model in evaluation mode."
        )
    scale, variance = node.input(1), node.input(4)
    slope = op.Div(scale, op.Sqrt(op.Add(variance, node.attr_float("epsilon", 1e-5))))
    return op.Mul(g, _per_channel(op, node, slope))


@vjp("InstanceNormalization")
def instance_normalization(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """x_hat over space: dx = (h - mean(h) - x_hat mean(h x_hat)) / std with h = g scale."""
    axes = range(2, node.rank)
    x_hat, inverse = _standardise(op, node.x, axes, node.attr_float("epsilon", 1e-5))
    h = op.Mul(g, _per_channel(op, node, node.input(1)))
    return _destandardise(op, h, x_hat, inverse, axes)


@vjp("LayerNormalization")
def layer_normalization(op: Backward, node: NodeView, g: ir.Value | None, *statistics: ir.Value | None) -> Cotangents:
    """x_hat over the axes from `axis` on: dx as for x_hat with h = g scale; dscale = g x_hat, dbias = g."""
    refuse_outputs(node, statistics)
    assert g is not None
    axes = range(node.attr_int("axis", -1) % node.rank, node.rank)
    x_hat, inverse = _standardise(op, node.x, axes, node.attr_float("epsilon", 1e-5))
    h = op.Mul(g, node.input(1))
    dx = _destandardise(op, h, x_hat, inverse, axes) if node.needs(0) else None
    dscale = _scale_cotangent(op, node, g, x_hat) if node.needs(1) else None
    return dx, dscale, op.unbroadcast(g, node.y, node.input(2)) if node.needs(2) else None


@vjp("GroupNormalization", opset=18)
def group_normalization(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """x_hat over a group of channels; scale has one value per group before opset 21, one per channel since."""
    x, groups = node.x, node.attr_int("num_groups")
    rows = op.Reshape(x, op.ints(0, groups, -1))
    x_hat, inverse = _standardise(op, rows, [2], node.attr_float("epsilon", 1e-5))
    h = op.Mul(g, _per_channel(op, node, node.input(1))) if node.opset >= 21 else g
    h = op.Reshape(op.full(h, x), op.ints(0, 0, groups, -1))
    h = op.Mul(h, op.Unsqueeze(node.input(1), op.ints(1))) if node.opset < 21 else h
    return op.shaped(_destandardise(op, h, x_hat, inverse, [2]), x)


@vjp("RMSNormalization", opset=23)
def rms_normalization(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """x_hat = x / rms: dx = (h - x_hat mean(h x_hat)) / rms with h = g scale; dscale = g x_hat."""
    axes = range(node.attr_int("axis", -1) % node.rank, node.rank)
    x = node.x
    inverse = _inverse_root(op, op.mean(op.Mul(x, x), axes, keepdims=True), node.attr_float("epsilon", 1e-5))
    x_hat = op.Mul(x, inverse)
    h = op.Mul(g, node.input(1))
    along = op.Mul(x_hat, _mean(op, op.Mul(h, x_hat), axes))
    dx = op.Mul(op.Sub(h, along), inverse) if node.needs(0) else None
    return dx, _scale_cotangent(op, node, g, x_hat) if node.needs(1) else None


@vjp("MeanVarianceNormalization")
def mean_variance_normalization(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Y = (x - mean) / s with s = std + 1e-9: dx = (g - mean(g) - (x - mean) mean(g y) / std) / s."""
    axes = [axis % node.rank for axis in node.attr_ints("axes", [0, 2, 3])]
    centred = op.Sub(node.x, op.mean(node.x, axes, keepdims=True))
    std = op.Sqrt(op.mean(op.Mul(centred, centred), axes, keepdims=True))
    # Where all elements are equal, the centred ones are zero whatever they are divided by.
    safe = op.Add(std, op.indicator(op.Equal(std, 0), std))
    along = op.Mul(op.Div(centred, safe), _mean(op, op.Mul(g, node.y), axes))
    return op.Div(op.Sub(op.Sub(g, _mean(op, g, axes)), along), op.Add(std, 1e-9))


@vjp("LpNormalization")
def lp_normalization(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Y = x / norm: dx = (g - n sum(g y)) / norm, n = y (p = 2) or sign(x) (p = 1); zero where the norm is zero."""
    axis = node.attr_int("axis", -1) % node.rank
    x, y = node.x, node.y
    squared = node.attr_int("p", 2) == 2
    norm = op.reduce("ReduceL2" if squared else "ReduceL1", x, [axis], keepdims=True)
    zero = op.indicator(op.Equal(norm, 0), norm)
    inverse = op.Div(op.Sub(1, zero), op.Add(norm, zero))
    along = op.Mul(op.sum(op.Mul(g, y), [axis + 1], keepdims=True), y if squared else op.Sign(x))
    return op.Mul(op.Sub(g, along), inverse)


@vjp("LRN")
def lrn(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Y = x d^-beta, d = bias + alpha mean(x^2) over near channels: dx = g d^-beta - 2 alpha beta x mean'(g y / d).

    mean' is the adjoint: a mean over the channels whose windows hold this one (Krizhevsky et al. 2012, section 3.3).
    """
    alpha, beta = node.attr_float("alpha", 1e-4), node.attr_float("beta", 0.75)
    size = node.attr_int("size")
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    x = node.x
    squares = _mean_of_channels(op, op.Mul(x, x), size, before, after)
    squares = reshape_to(op, squares, sizes_of(op, x, range(node.rank)), dims_of(x))
    d = op.Add(op.Mul(squares, alpha), node.attr_float("bias", 1.0))
    weighted = op.flat(op.Div(op.Mul(g, node.y), d), x)
    spread = op.shaped(_mean_of_channels(op, weighted, size, after, before), x)
    return op.Sub(op.Mul(g, op.Pow(d, -beta)), op.Mul(spread, op.Mul(x, 2 * alpha * beta)))


def _mean_of_channels(op: Backward, x: ir.Value, size: int, before: int, after: int) -> ir.Value:
    """Average `size` neighbouring channels of [B, C, *space], zeros beyond the first and last one; [B, 1, C, space]."""
    planes = op.Reshape(op.Unsqueeze(x, op.ints(1)), op.ints(0, 0, 0, -1))
    return op.AveragePool(planes, kernel_shape=[size, 1], pads=[before, 0, after, 0], count_include_pad=1)


def _standardise(op: Backward, x: ir.Value, axes: Sequence[int], epsilon: float) -> tuple[ir.Value, ir.Value]:
    """Return x_hat = (x - mean) / std over `axes`, and 1 / std."""
    centred = op.Sub(x, op.mean(x, axes, keepdims=True))
    inverse = _inverse_root(op, op.mean(op.Mul(centred, centred), axes, keepdims=True), epsilon)
    return op.Mul(centred, inverse), inverse


def _destandardise(op: Backward, h: ir.Value, x_hat: ir.Value, inverse: ir.Value, axes: Sequence[int]) -> ir.Value:
    """Return dx = (h - mean(h) - x_hat mean(h x_hat)) / std from the cotangent h of x_hat."""
    along = op.Mul(x_hat, _mean(op, op.Mul(h, x_hat), axes))
    return op.Mul(op.Sub(op.Sub(h, _mean(op, h, axes)), along), inverse)


def _mean(op: Backward, g: ir.Value, axes: Sequence[int]) -> ir.Value:
    """Average a cotangent over axes of the value; an un-expanded axis is its own mean."""
    return op.mean(g, [axis + 1 for axis in axes], keepdims=True)


def _inverse_root(op: Backward, square: ir.Value, epsilon: float) -> ir.Value:
    return op.Reciprocal(op.Sqrt(op.Add(square, epsilon)))


def _scale_cotangent(op: Backward, node: NodeView, g: ir.Value, x_hat: ir.Value) -> ir.Value:
    return op.unbroadcast(op.Mul(g, x_hat), node.y, node.input(1))


def _per_channel(op: Backward, node: NodeView, values: ir.Value) -> ir.Value:
    """Shape one number per channel, [C], so that it broadcasts against [N, C, *space]."""
    return op.Reshape(values, op.ints(-1, *[1] * (node.rank - 2)))
