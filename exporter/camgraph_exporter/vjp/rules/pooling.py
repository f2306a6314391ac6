"""Pooling over windows and over whole maps."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from camgraph_exporter.errors import LATER_LAYER, GradientError
from camgraph_exporter.graph.dims import dims_of, static
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.backward import Backward, dtype_of
from camgraph_exporter.vjp.fold import fold_windows
from camgraph_exporter.vjp.registry import Cotangents, vjp
from camgraph_exporter.vjp.window import Window, begin_of, spatial_shape, window_of


@vjp("GlobalAveragePool")
def global_average_pool(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g / (h w), constant over space: it stays un-expanded."""
    size = op.size_of(node.x, range(2, node.rank))
    return op.Div(g, op.number(size, g))


@vjp("GlobalMaxPool")
def global_max_pool(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g at the first largest element of each map."""
    x = node.x
    rows = op.Reshape(x, op.ints(0, 0, -1))
    places = op.arange(op.size_vector(rows, 2))
    mask = op.cast(op.Equal(op.ArgMax(rows, axis=2, keepdims=1), places), dtype_of(g))
    return op.Mul(g, op.Reshape(mask, op.shape_of(x)))


@vjp("AveragePool")
def average_pool(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g / (elements in the window), added up where windows overlap."""
    x, y = node.x, node.y
    window = window_of(node, node.attr_ints("kernel_shape"))
    if _covers_everything(window, x):
        return op.Div(g, float(math.prod(window.kernel)))
    shares = op.Div(op.full(g, y), _elements_in_window(op, node, window, dtype_of(g)))
    return _fold_ones(op, window, shares, x, y)


@vjp("LpPool")
def lp_pool(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = sign(x) |x|^(p-1) times g / y^(p-1), added up where windows overlap."""
    x, y = node.x, node.y
    window = window_of(node, node.attr_ints("kernel_shape"))
    shares = _fold_ones(op, window, op.full(_per_norm(op, node, g), y), x, y)
    return op.Mul(shares, _signed_power(op, node))


def _fold_ones(op: Backward, window: Window, shares: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    """Give every element the sum of the shares of the windows that it lies in."""
    channels = dims_of(x)[1]
    group = channels if isinstance(channels, int) else 1
    rows = op.Reshape(shares, op.join([op.ints(-1, group), spatial_shape(op, y)]))
    kernel = op.constant(np.ones((group, 1, *window.kernel), dtype=dtype_of(shares).numpy()))
    return op.shaped(fold_windows(op, window, rows, kernel, x, y, group=group), x)


@vjp("GlobalLpPool")
def global_lp_pool(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = sign(x) |x|^(p-1) g / y^(p-1)."""
    return op.Mul(_per_norm(op, node, g), _signed_power(op, node))


def _per_norm(op: Backward, node: NodeView, g: ir.Value) -> ir.Value:
    """Divide by y^(p-1); a norm of zero divides by one, as what it is multiplied with is zero then."""
    p = node.attr_int("p", 2)
    if p == 1:
        return g
    y = op.Add(node.y, op.cast(op.Equal(node.y, 0), dtype_of(g)))
    return op.Div(g, y if p == 2 else op.Pow(y, float(p - 1)))


def _signed_power(op: Backward, node: NodeView) -> ir.Value:
    """Return sign(x) |x|^(p-1)."""
    p, x = node.attr_int("p", 2), node.x
    if p % 2 == 0:
        return x if p == 2 else op.Pow(x, float(p - 1))
    return op.Sign(x) if p == 1 else op.Mul(op.Sign(x), op.Pow(x, float(p - 1)))


@vjp("MaxUnpool")
def max_unpool(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g gathered from the places that the elements were put at."""
    window = window_of(node, node.attr_ints("kernel_shape"))
    if node.optional(2) is not None or any(s < k for s, k in zip(window.strides, window.kernel, strict=True)):
        raise GradientError(
            f"MaxUnpool node {node.name!r} has overlapping windows or an output_shape, which may overwrite or move "
            f"elements, and there is no derivative for that. {LATER_LAYER}."
        )
    rows = op.Reshape(op.full(g, node.y), op.ints(0, -1))
    return op.shaped(op.Gather(rows, op.Reshape(node.input(1), op.ints(-1)), axis=1), node.x)


@vjp("MaxPool")
def max_pool(op: Backward, node: NodeView, g: ir.Value, _indices: ir.Value | None = None) -> Cotangents:
    """Dx = g at the first largest element of each window in scan order, as the forward chose.

    Windows are laid out side by side, ArgMax picks one winner each (an equality mask would count ties several times),
    and the winners' cotangents are added up at their places. It needs no Indices output and no scatter, which some
    runtimes refuse.
    """
    x, y = node.x, node.y
    window = window_of(node, node.attr_ints("kernel_shape"))
    taps = math.prod(window.kernel)
    winner = op.ArgMax(_patches(op, window, x, y), axis=2, keepdims=1)
    places = op.constant(np.arange(taps, dtype=np.int64).reshape(-1, *[1] * window.rank))
    mask = op.cast(op.Equal(winner, places), dtype_of(g))
    chosen = op.Mul(op.Unsqueeze(op.full(g, y), op.ints(3)), mask)
    rows = op.Reshape(chosen, op.join([op.ints(-1, taps), spatial_shape(op, y)]))
    kernel = op.constant(np.eye(taps, dtype=dtype_of(g).numpy()).reshape(-1, 1, *window.kernel))
    return op.shaped(fold_windows(op, window, rows, kernel, x, y), x)


def _patches(op: Backward, window: Window, x: ir.Value, y: ir.Value) -> ir.Value:
    """Lay the windows of `x` side by side: [N, C, taps, *out]; padding never wins."""
    rank = window.rank
    begin, size, out = begin_of(op, window, x, y), spatial_shape(op, x), spatial_shape(op, y)
    steps, axes = op.ints(*window.strides), op.ints(*range(2, 2 + rank))
    reach = op.Mul(op.Sub(out, op.ints(1)), steps)
    end = op.Max(op.Sub(op.Add(reach, op.ints(*window.extent)), op.Add(begin, size)), op.ints(0))
    lowest = op.constant(np.asarray(_lowest(dtype_of(x)), dtype=dtype_of(x).numpy()))
    pads = op.Concat(op.ints(0, 0), begin, op.ints(0, 0), end, axis=0)
    known = op.known(pads)
    padded = x if known is not None and not known.any() else op.Pad(x, pads, lowest)
    slices = []
    for tap in np.ndindex(*window.kernel):
        start = op.ints(*(t * d for t, d in zip(tap, window.dilations, strict=True)))
        stop = op.Add(op.Add(start, reach), op.ints(1))
        slices.append(op.Unsqueeze(op.Slice(padded, start, stop, axes, steps), op.ints(2)))
    return op.Concat(*slices, axis=2) if len(slices) > 1 else slices[0]


def _lowest(dtype: ir.DataType) -> float | int:
    return -math.inf if dtype.is_floating_point() else int(dtype.min)


def _covers_everything(window: Window, x: ir.Value) -> bool:
    """Tell whether one unpadded window covers the whole map, which makes the pooling a global one."""
    unpadded = window.begin is not None and window.end is not None and not any(window.begin) and not any(window.end)
    return unpadded and static(dims_of(x)[2:]) == window.kernel


def _elements_in_window(op: Backward, node: NodeView, window: Window, dtype: ir.DataType) -> ir.Value | float:
    """Return how many elements each output averages over: a number, or a map that broadcasts over [*out]."""
    taps = float(math.prod(window.kernel))
    sizes, outs = static(dims_of(node.x)[2:]), static(dims_of(node.y)[2:])
    include = node.attr_flag("count_include_pad")
    if sizes is not None and outs is not None and window.begin is not None and window.end is not None:
        counts = np.ones(())
        for i in range(window.rank):
            low, high = (-window.begin[i], sizes[i] + window.end[i]) if include else (0, sizes[i])
            places = (
                np.arange(outs[i])[:, None] * window.strides[i]
                - window.begin[i]
                + np.arange(window.kernel[i]) * window.dilations[i]
            )
            counts = np.multiply.outer(counts, ((places >= low) & (places < high)).sum(axis=1))
        return taps if (counts == taps).all() else op.constant(counts.astype(dtype.numpy()))
    if not node.attr_flag("ceil_mode") and (
        include or (window.begin is not None and not any(window.begin) and not any(window.end or ()))
    ):
        return taps
    return _count_at_run_time(op, node, window, dtype, include=include)


def _count_at_run_time(op: Backward, node: NodeView, window: Window, dtype: ir.DataType, *, include: bool) -> ir.Value:
    """Slide the window over a map of ones."""
    x, y, rank = node.x, node.y, window.rank
    one = ir.tensor(np.ones(1, dtype=dtype.numpy()))
    ones = op.ConstantOfShape(op.join([op.ints(1, 1), spatial_shape(op, x)]), value=one)
    begin = begin_of(op, window, x, y)
    end = op.ints(*window.end) if window.end is not None else begin
    zeros = op.ints(0, 0)
    if include:
        ones = op.Pad(ones, op.Concat(zeros, begin, zeros, end, axis=0), 1)
        begin = op.ints(*[0] * rank)
    room = op.ints(*(e + s for e, s in zip(window.extent, window.strides, strict=True)))
    ones = op.Pad(ones, op.Concat(zeros, begin, zeros, op.Add(room, end), axis=0), 0)
    kernel = op.constant(np.ones((1, 1, *window.kernel), dtype=dtype.numpy()))
    counts = op.Conv(ones, kernel, strides=list(window.strides), dilations=list(window.dilations))
    return op.Slice(counts, op.ints(*[0] * rank), spatial_shape(op, y), op.ints(*range(2, 2 + rank)))
