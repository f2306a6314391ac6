"""Poolings in float64."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from camgraph_exporter.float64.op import Float64Op
from camgraph_exporter.float64.windows import Array, Windows, resolve_windows


class MaxPool(Float64Op):
    """Maximum of every window, and on demand its index: the first in scan order wins a tie."""

    def _run(
        self,
        x: Array,
        *,
        auto_pad: str,
        kernel_shape: Sequence[int],
        pads: Sequence[int] | None,
        strides: Sequence[int] | None,
        storage_order: int = 0,
        ceil_mode: int = 0,
        dilations: Sequence[int] | None = None,
    ) -> tuple[Array, ...]:
        windows = resolve_windows(
            x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad=auto_pad, ceil_mode=bool(ceil_mode)
        )
        padded = windows.pad(x, _lowest(x.dtype))
        if len(self.output) == 1:
            return (windows.fold(padded, np.maximum),)
        return _winners(padded, windows, column_major=bool(storage_order))


def _lowest(dtype: np.dtype[Any]) -> Any:
    return np.iinfo(dtype).min if np.issubdtype(dtype, np.integer) else -np.inf


def _winners(padded: Array, windows: Windows, *, column_major: bool) -> tuple[Array, Array]:
    """Maxima and their int64 positions in the flattened, unpadded input, both [N, C, *out]."""
    shape = (*padded.shape[:2], *windows.out)
    best = np.full(shape, _lowest(padded.dtype), padded.dtype)
    index = np.full(shape, -1, np.int64)
    for tap, candidate in windows.taps(padded):
        position, inside = _positions(windows, tap, column_major=column_major)
        better = inside & ((index < 0) | (candidate > best))
        best = np.where(better, candidate, best)
        index = np.where(better, position, index)
    planes = np.arange(math.prod(shape[:2])).reshape(*shape[:2], *(1,) * len(windows.out))
    return best, index + planes * math.prod(windows.size)


def _positions(windows: Windows, tap: Sequence[int], *, column_major: bool) -> tuple[Array, Array]:
    """Offset within one channel of what each window has under `tap`, and whether that is inside the input."""
    rank = len(windows.out)
    axes = [
        np.arange(o) * s + t * d - b
        for o, s, t, d, b in zip(windows.out, windows.strides, tap, windows.dilations, windows.begin, strict=True)
    ]
    grid = np.meshgrid(*axes, indexing="ij")
    inside = np.ones(windows.out, bool)
    position = np.zeros(windows.out, np.int64)
    for axis in range(rank):
        size = windows.size[axis]
        inside &= (grid[axis] >= 0) & (grid[axis] < size)
        faster = windows.size[:axis] if column_major else windows.size[axis + 1 :]
        position += grid[axis] * math.prod(faster)
    return position, inside


class AveragePool(Float64Op):
    """Mean of every window, over the input's own elements or with its padding counted in."""

    def _run(
        self,
        x: Array,
        *,
        auto_pad: str,
        kernel_shape: Sequence[int],
        pads: Sequence[int] | None,
        strides: Sequence[int] | None,
        count_include_pad: int = 0,
        ceil_mode: int = 0,
        dilations: Sequence[int] | None = None,
    ) -> tuple[Array]:
        windows = resolve_windows(
            x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad=auto_pad, ceil_mode=bool(ceil_mode)
        )
        counted = _counted(windows, x.dtype, include_pad=bool(count_include_pad))
        return (windows.fold(windows.pad(x, 0), np.add) / windows.fold(counted, np.add),)


def _counted(windows: Windows, dtype: np.dtype[Any], *, include_pad: bool) -> Array:
    """Ones where an element counts for the mean [1, 1, *padded]; what overhangs the padding never does."""
    if not include_pad:
        return windows.pad(np.ones((1, 1, *windows.size), dtype), 0)
    padded = [b + n + e for b, n, e in zip(windows.begin, windows.size, windows.end, strict=True)]
    ones = np.ones((1, 1, *padded), dtype)
    return np.pad(ones, [(0, 0), (0, 0), *((0, h) for h in windows.overhang)])


class LpPool(Float64Op):
    """The p-norm of every window."""

    def _run(
        self,
        x: Array,
        *,
        auto_pad: str,
        kernel_shape: Sequence[int],
        p: int,
        pads: Sequence[int] | None,
        strides: Sequence[int] | None,
        ceil_mode: int = 0,
        dilations: Sequence[int] | None = None,
    ) -> tuple[Array]:
        windows = resolve_windows(
            x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad=auto_pad, ceil_mode=bool(ceil_mode)
        )
        powers = windows.fold(windows.pad(np.abs(x) ** p, 0), np.add)
        return (powers ** (x.dtype.type(1) / p),)


class GlobalMaxPool(Float64Op):
    """Maximum over the spatial axes, which stay with size 1."""

    def _run(self, x: Array) -> tuple[Array]:
        return (x.max(axis=tuple(range(2, x.ndim)), keepdims=True),)


class GlobalLpPool(Float64Op):
    """The p-norm over the spatial axes, which stay with size 1."""

    def _run(self, x: Array, *, p: int) -> tuple[Array]:
        powers = (np.abs(x) ** p).sum(axis=tuple(range(2, x.ndim)), keepdims=True)
        return (powers ** (x.dtype.type(1) / p),)
