"""Convolution and its transpose; the gradient of each is the other.

Dumoulin and Visin, A guide to convolution arithmetic for deep learning (2016).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import onnx_ir as ir

from camgraph_exporter.errors import LATER_LAYER, GradientError
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.axes import reshape_to
from camgraph_exporter.vjp.backward import Backward, dtype_of
from camgraph_exporter.vjp.fold import fold_windows
from camgraph_exporter.vjp.kernels import static_sizes, swapped
from camgraph_exporter.vjp.registry import Cotangents, vjp
from camgraph_exporter.vjp.window import Window, spatial_shape, window_of


@vjp("Conv")
def conv(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g convolved with the flipped kernel, its input and output channels swapped."""
    x, w, group = node.x, node.input(1), node.attr_int("group", 1)
    window = window_of(node, _static_kernel(w))
    if window.is_pointwise:
        # A 1x1 convolution keeps a gradient that is constant over space constant.
        spatial = range(2, window.rank + 2)
        flat = op.flat(g, node.y, lazy=spatial)
        return op.unflat(op.Conv(flat, swapped(op, w, group), group=group), x)
    return op.unflat(fold_windows(op, window, op.flat(g, node.y), w, x, node.y, group=group), x)


@vjp("ConvTranspose")
def conv_transpose(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g convolved with the same kernel, strides and dilations: the transpose of the transpose."""
    w = node.input(1)
    kernel = _static_kernel(w)
    window = _output_window(node, kernel)
    flat = op.flat(g, node.y)
    common: dict[str, Any] = {
        "strides": list(window.strides),
        "dilations": list(window.dilations),
        "group": node.attr_int("group", 1),
    }
    extra = node.attr_ints("output_padding", [0] * window.rank)
    # A convolution drops what remains after its last window; output_padding adds a remainder that mostly is one.
    if (
        window.begin is not None
        and window.end is not None
        and all(e < s for e, s in zip(extra, window.strides, strict=True))
    ):
        dx = op.Conv(flat, w, pads=[*window.begin, *window.end], kernel_shape=kernel, **common)
    else:
        dx = op.Conv(_window_input(op, node, window, flat), w, kernel_shape=kernel, **common)
    return op.unflat(dx, node.x)


def _output_window(node: NodeView, kernel: list[int]) -> Window:
    """Read the window that slides over the output; it has no pads where `output_shape` makes them depend on sizes."""
    rank = len(kernel)
    strides, dilations = (tuple(node.attr_ints(name, [1] * rank)) for name in ("strides", "dilations"))
    window = Window(tuple(kernel), strides, dilations, None, None, node.attr_text("auto_pad", "NOTSET"))
    if node.attr_ints("output_shape", []):
        return window
    if window.auto_pad in {"NOTSET", "VALID"}:
        none = [0] * (2 * rank)
        pads = node.attr_ints("pads", none) if window.auto_pad == "NOTSET" else none
    else:
        # The output has stride times the size of the input, whatever that is.
        extra = node.attr_ints("output_padding", [0] * rank)
        totals = [max(e + more - s, 0) for e, more, s in zip(window.extent, extra, strides, strict=True)]
        small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
        pads = small + large if window.auto_pad == "SAME_UPPER" else large + small
    return dataclasses.replace(window, begin=tuple(pads[:rank]), end=tuple(pads[rank:]))


def _window_input(op: Backward, node: NodeView, window: Window, flat: ir.Value) -> ir.Value:
    """Pad or cut the cotangent so that unpadded windows, one per element of `x`, fill it exactly."""
    size, out = spatial_shape(op, node.x), spatial_shape(op, node.y)
    reach = op.Add(op.Mul(op.Sub(size, op.ints(1)), op.ints(*window.strides)), op.ints(*window.extent))
    if window.begin is not None:
        begin = op.ints(*window.begin)
    else:
        extra = op.ints(*(node.attr_ints("output_padding", [0] * window.rank)))
        total = op.Max(op.Sub(op.Add(reach, extra), out), op.ints(0))
        half = op.Div(total, op.ints(2))
        begin = half if window.auto_pad == "SAME_UPPER" else op.Sub(total, half)
    end = op.Sub(reach, op.Add(begin, out))
    zeros = op.ints(0, 0)
    return op.Pad(flat, op.Concat(zeros, begin, zeros, end, axis=0))


@vjp("Col2Im", opset=18)
def col2im(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = the windows of g, each as a column: a convolution with a unit matrix for a kernel."""
    block = node.const(2)
    if block is None:
        raise GradientError(
            f"Col2Im node {node.name!r} computes its block shape at run time, and there is no derivative for that. "
            f"{LATER_LAYER}."
        )
    kernel, rank = [int(size) for size in block], len(block)
    spatial = dims_of(node.y)[2:]
    sizes = [op.ints(-1, 1), *(op.size_vector(node.y, axis) for axis in range(2, 2 + rank))]
    maps = reshape_to(op, op.full(g, node.y), sizes, ("maps", 1, *spatial))
    count = math.prod(kernel)
    unit = op.constant(np.eye(count, dtype=dtype_of(g).numpy()).reshape(count, 1, *kernel))
    window = {name: node.attr(name) for name in ("dilations", "pads", "strides")}
    return op.shaped(op.Conv(maps, unit, **window), node.x)


def _static_kernel(w: ir.Value) -> list[int]:
    return static_sizes(w)[2:]
