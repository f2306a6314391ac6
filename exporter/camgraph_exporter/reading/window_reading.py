"""Sliding windows of convolutions and poolings, read from the attributes for known sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.traits import Trait, has, of
from camgraph_exporter.reading.node_reading import NodeReading


@dataclass(frozen=True)
class SlidingWindow:
    """A window over the spatial axes, one number per axis: `kernel`, `strides` and `dilations` in elements."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]

    @property
    def reach(self) -> tuple[int, ...]:
        """Return the way from the first to the last element of the window."""
        return tuple((k - 1) * d for k, d in zip(self.kernel, self.dilations, strict=True))


def sliding_window(node: NodeReading) -> SlidingWindow | None:
    """Return the window of a convolution or pooling; None for a node without one."""
    kernel = node.numbers("kernel_shape") or _kernel_of_weights(node)
    if not kernel:
        return None
    ones = [1] * len(kernel)
    strides, dilations = node.numbers("strides") or ones, node.numbers("dilations") or ones
    return SlidingWindow(tuple(kernel), tuple(strides), tuple(dilations))


def _kernel_of_weights(node: NodeReading) -> list[int]:
    index = of(node.node).weights
    weights = node.input(index) if index is not None else None
    if weights is None or weights.shape is None:
        return []
    return [dim for dim in dims_of(weights)[2:] if isinstance(dim, int)]


def leading_pads(node: NodeReading, window: SlidingWindow, sizes: Sequence[int], out: Sequence[int]) -> list[int]:
    """Return the pads before each spatial axis of lengths `sizes`, which the node turns into lengths `out`.

    For a transposed window they are what is cut off the front of its result.
    """
    auto_pad, pads = node.text("auto_pad", "NOTSET"), node.numbers("pads")
    transposed = has(node.node, Trait.TRANSPOSED)
    free = transposed and node.numbers("output_shape") is not None
    if auto_pad in {"NOTSET", "VALID"} and not free:
        given = pads if auto_pad == "NOTSET" and pads else [0] * len(sizes)
        return given[: len(sizes)]
    extra = node.numbers("output_padding") or [0] * len(sizes)
    # The smaller side comes first: of SAME_UPPER always, of a transposed window only with it.
    small_first = auto_pad == "SAME_UPPER"
    begin = []
    for size, result, stride, reach, more in zip(sizes, out, window.strides, window.reach, extra, strict=True):
        longer, shorter = (size, result - more) if transposed else (result, size)
        total = max((longer - 1) * stride + reach + 1 - shorter, 0)
        begin.append(total // 2 if small_first else total - total // 2)
    return begin
