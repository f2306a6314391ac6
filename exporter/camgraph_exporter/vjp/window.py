"""Sliding windows of convolutions and poolings: strides, dilations and padding, resolved from the attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of, static
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.backward import Backward


@dataclass(frozen=True)
class Window:
    """A sliding window over the spatial axes of `x` that makes `y`.

    `begin` and `end` are the pads in input elements; both are None where `auto_pad` makes them depend on a dynamic
    size. `extent` is the length that a dilated kernel covers.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begin: tuple[int, ...] | None
    end: tuple[int, ...] | None
    auto_pad: str

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.kernel)

    @property
    def extent(self) -> tuple[int, ...]:
        """Length of the dilated kernel along each axis."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def is_pointwise(self) -> bool:
        """Tell whether every output element comes from the input element at its own place."""
        unpadded = self.begin is not None and self.end is not None and not any(self.begin) and not any(self.end)
        return unpadded and all(k == 1 for k in self.kernel) and all(s == 1 for s in self.strides)


def window_of(node: NodeView, kernel: Sequence[int]) -> Window:
    """Read the window of a Conv or pooling node; every auto_pad is turned into pads where sizes allow."""
    rank = len(kernel)
    strides = tuple(node.attr_ints("strides", [1] * rank))
    dilations = tuple(node.attr_ints("dilations", [1] * rank))
    auto_pad = node.attr_text("auto_pad", "NOTSET")
    window = Window(tuple(kernel), strides, dilations, None, None, auto_pad)
    pads = _resolve_pads(node, window)
    if pads is None:
        return window
    return Window(window.kernel, strides, dilations, tuple(pads[:rank]), tuple(pads[rank:]), auto_pad)


def _resolve_pads(node: NodeView, window: Window) -> list[int] | None:
    if window.auto_pad == "NOTSET":
        return node.attr_ints("pads", [0] * (2 * window.rank))
    if window.auto_pad == "VALID":
        return [0] * (2 * window.rank)
    sizes = dims_of(node.x)[2:]
    totals = []
    for size, extent, stride in zip(sizes, window.extent, window.strides, strict=True):
        if stride == 1:
            totals.append(extent - 1)
        elif isinstance(size, int):
            totals.append(max((-(-size // stride) - 1) * stride + extent - size, 0))
        else:
            return None
    small = [total // 2 for total in totals]
    large = [total - total // 2 for total in totals]
    return small + large if window.auto_pad == "SAME_UPPER" else large + small


def begin_of(op: Backward, window: Window, x: ir.Value, y: ir.Value) -> ir.Value:
    """Return the leading pads, int64 [rank]; computed at run time where auto_pad meets a dynamic size."""
    if window.begin is not None:
        return op.ints(*window.begin)
    size, out = spatial_shape(op, x), spatial_shape(op, y)
    covered = op.Add(op.Mul(op.Sub(out, op.ints(1)), op.ints(*window.strides)), op.ints(*window.extent))
    total = op.Max(op.Sub(covered, size), op.ints(0))
    half = op.Div(total, op.ints(2))
    return half if window.auto_pad == "SAME_UPPER" else op.Sub(total, half)


def spatial_shape(op: Backward, x: ir.Value) -> ir.Value:
    """Return the spatial sizes of `x`, int64 [rank - 2]."""
    known = static(dims_of(x)[2:])
    return op.ints(*known) if known is not None else op.Slice(op.Shape(x), op.ints(2), op.ints(len(dims_of(x))))
