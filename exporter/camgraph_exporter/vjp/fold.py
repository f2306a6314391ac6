"""Adds windows up at their places in the input: the adjoint of sliding a window, and the gradient of a convolution.

A ConvTranspose does that for any window. onnxruntime runs operators of stride 1 faster, so these come first where they
apply; benchmarks/operator_forms.py measures them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of, static
from camgraph_exporter.vjp.backward import Backward, dtype_of
from camgraph_exporter.vjp.kernels import flipped, static_sizes, swapped
from camgraph_exporter.vjp.window import Window, begin_of, spatial_shape

# ConvTranspose rearranges its weights at each run, which a 1x1 convolution spares; the zeros that it then puts between
# its results cost more on large maps. From this many weights for each element of the result on, it wins.
_WEIGHTS_PER_ELEMENT = 1
# Phases win from about this many maps on, for which runtimes have faster convolutions, and one convolution for each of
# the stride^2 phases should stay few.
_MAPS_FOR_PHASES, _LARGEST_STRIDE = 32, 4
# The opset from which Resize takes scales alone.
_RESIZE = 13
_NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


def fold_windows(
    op: Backward, window: Window, patches: ir.Value, kernel: ir.Value, x: ir.Value, y: ir.Value, *, group: int = 1
) -> ir.Value:
    """Return the gradient [B, C, *in] with the spatial sizes of `x`, of windows that slid over it and made `y`.

    patches: [B, M, *out]; kernel: [M, C / group, *kernel]. The batch may be dynamic.
    """
    pads = _same_size_pads(window)
    if pads is not None:
        return _convolve_flipped(op, window, patches, kernel, pads, group)
    fixed = _fixed(window, x, y)
    if fixed is not None and window.rank == 2 and op.opset >= _RESIZE:
        for fold in (_repeat, _fold_depthwise, _fold_pointwise, _fold_by_phases):
            result = fold(op, fixed, patches, kernel, group)
            if result is not None:
                return result
    return _transposed(op, window, patches, kernel, x, y, group)


# --- stride 1 -----------------------------------------------------------------------------------------------------


def _same_size_pads(window: Window) -> list[int] | None:
    """Return the pads of the Conv that is the gradient, if the stride is 1 and the pads are below the extent."""
    if window.begin is None or window.end is None or any(stride != 1 for stride in window.strides):
        return None
    pads = [
        extent - 1 - pad for pads in (window.begin, window.end) for extent, pad in zip(window.extent, pads, strict=True)
    ]
    return pads if min(pads) >= 0 else None


def _convolve_flipped(
    op: Backward, window: Window, patches: ir.Value, kernel: ir.Value, pads: Sequence[int], group: int
) -> ir.Value:
    kernel = flipped(op, swapped(op, kernel, group))
    return op.Conv(
        patches,
        kernel,
        pads=list(pads),
        dilations=list(window.dilations),
        group=group,
        kernel_shape=list(window.kernel),
    )


# --- larger strides, sizes known ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Fixed:
    """A window whose pads and sizes are known: `size` of the input, `out` of the output."""

    window: Window
    begin: tuple[int, ...]
    size: tuple[int, ...]
    out: tuple[int, ...]

    @property
    def tiles(self) -> bool:
        """Tell whether windows lie side by side and cover the input exactly."""
        strides = self.window.strides
        covered = tuple(s * o for s, o in zip(strides, self.out, strict=True))
        return self.window.extent == strides and covered == self.size and not any(self.begin)


def _fixed(window: Window, x: ir.Value, y: ir.Value) -> _Fixed | None:
    size, out = static(dims_of(x)[2:]), static(dims_of(y)[2:])
    if size is None or out is None or window.begin is None:
        return None
    return _Fixed(window, window.begin, size, out)


def _repeat(op: Backward, fixed: _Fixed, patches: ir.Value, kernel: ir.Value, group: int) -> ir.Value | None:
    """Sums over tiles, as average pooling makes them: every element of a tile gets the tile's cotangent."""
    array = op.known(kernel)
    if array is None or (array.shape[1], group) != (1, array.shape[0]) or (array != 1).any() or not fixed.tiles:
        return None
    return _magnified(op, patches, fixed.window.strides)


def _fold_depthwise(op: Backward, fixed: _Fixed, patches: ir.Value, kernel: ir.Value, group: int) -> ir.Value | None:
    """One map a channel: zeros between the patches, then a convolution of stride 1.

    It multiplies stride^2 times as much as it must and takes 0.3 to 0.6 of ConvTranspose's time.
    """
    m, c, *_ = static_sizes(kernel)
    window = fixed.window
    begin = [extent - 1 - pad for extent, pad in zip(window.extent, fixed.begin, strict=True)]
    end = [n - s * o + pad for n, s, o, pad in zip(fixed.size, window.strides, fixed.out, fixed.begin, strict=True)]
    if (c, m) != (1, group) or min(*begin, *end) < 0:
        return None
    return _convolve_flipped(op, window, _spread(op, patches, window.strides), kernel, [*begin, *end], group)


def _fold_pointwise(op: Backward, fixed: _Fixed, patches: ir.Value, kernel: ir.Value, group: int) -> ir.Value | None:
    """Windows of one element each: a 1x1 convolution, and zeros between its results."""
    m, _, *extent = static_sizes(kernel)
    reached = [s * o - n for n, s, o in zip(fixed.size, fixed.window.strides, fixed.out, strict=True)]
    if extent != [1, 1] or any(reached) or any(fixed.begin) or m < _WEIGHTS_PER_ELEMENT * math.prod(fixed.size):
        return None
    maps = op.Conv(patches, swapped(op, kernel, group), kernel_shape=extent, group=group)
    return _spread(op, maps, fixed.window.strides)


@dataclass(frozen=True)
class _Phase:
    """What the elements j = stride * q + a of one axis are made of, for one a.

    `last`: the last kernel element that counts; from it every stride-th towards the front does, `taps` of them. `pads`:
    of the convolution, begin and end.
    """

    last: int
    taps: int
    pads: tuple[int, int]


def _fold_by_phases(op: Backward, fixed: _Fixed, patches: ir.Value, kernel: ir.Value, group: int) -> ir.Value | None:
    """Windows that overlap: one convolution of stride 1 for each place within a stride, their results in turn.

    Of y_i = sum_k x_(s i + k - p) w_k follows dx_(s q + a) = sum_m g_(q + c - m) w_(k0 + s m) with k0 = (a + p) mod s
    and c = (a + p - k0) / s: as many products in all as the ConvTranspose has.
    """
    window, stride = fixed.window, fixed.window.strides[0]
    maps = static_sizes(kernel)[1] * group
    if set(window.strides) != {stride} or set(window.dilations) != {1} or min(window.kernel) <= stride:
        return None
    if any(n % stride for n in fixed.size) or maps < _MAPS_FOR_PHASES or stride > _LARGEST_STRIDE:
        return None
    rows, columns = ([_phase(fixed, axis, a) for a in range(stride)] for axis in range(2))
    if any(min(phase.pads) < 0 for phase in [*rows, *columns]):
        return None
    kernel = swapped(op, kernel, group)
    phases = [[_convolve_phase(op, patches, kernel, group, row, column, stride) for column in columns] for row in rows]
    return _interleaved(op, phases, fixed.size)


def _phase(fixed: _Fixed, axis: int, a: int) -> _Phase:
    kernel, stride = fixed.window.kernel[axis], fixed.window.strides[axis]
    first = (a + fixed.begin[axis]) % stride
    shift = (a + fixed.begin[axis] - first) // stride
    taps = -(-(kernel - first) // stride)
    pads = (taps - 1 - shift, fixed.size[axis] // stride - fixed.out[axis] + shift)
    return _Phase(first + stride * (taps - 1), taps, pads)


def _convolve_phase(
    op: Backward, patches: ir.Value, kernel: ir.Value, group: int, row: _Phase, column: _Phase, stride: int
) -> ir.Value:
    """kernel: [C, M / group, *kernel], of which the phase takes every stride-th element, backwards."""
    end = -(2**31)
    starts, ends, steps = op.ints(row.last, column.last), op.ints(end, end), op.ints(-stride, -stride)
    every = op.Slice(kernel, starts, ends, op.ints(2, 3), steps)
    pads = [row.pads[0], column.pads[0], row.pads[1], column.pads[1]]
    return op.Conv(patches, every, pads=pads, kernel_shape=[row.taps, column.taps], group=group)


def _interleaved(op: Backward, maps: Sequence[Sequence[ir.Value]], size: Sequence[int]) -> ir.Value:
    """Put the elements of maps [B, C, h, w], a list of rows of them, in turn: [B, C, *size].

    Columns meet on a new last axis and rows on that of the columns, in 0.4 of the time of a Concat and a DepthToSpace.
    """
    rows = [op.Concat(*(op.Unsqueeze(x, op.ints(4)) for x in row), axis=4) for row in maps]
    result = op.Reshape(op.Concat(*rows, axis=3), op.ints(0, 0, *size))
    result.shape = ir.Shape([*dims_of(maps[0][0])[:2], *size])
    return result


def _spread(op: Backward, maps: ir.Value, strides: Sequence[int]) -> ir.Value:
    """Put each element at the first place of a tile of `strides` elements, and zeros at the others."""
    large = _magnified(op, maps, strides)
    height, width = static(dims_of(large)[2:]) or ()
    first = np.zeros((height, width), dtype=dtype_of(maps).numpy())
    first[:: strides[0], :: strides[1]] = 1
    return op.Mul(large, first)


def _magnified(op: Backward, maps: ir.Value, factors: Sequence[int]) -> ir.Value:
    """Repeat each element along the spatial axes."""
    scales = op.constant(np.array([1, 1, *factors], dtype=np.float32))
    return op.emit("Resize", (maps, None, scales), _NEAREST)[0]


# --- any window ---------------------------------------------------------------------------------------------------


def _transposed(
    op: Backward, window: Window, patches: ir.Value, kernel: ir.Value, x: ir.Value, y: ir.Value, group: int
) -> ir.Value:
    """One ConvTranspose; where spatial sizes are dynamic, its result is made large enough and cut at run time."""
    common: dict[str, Any] = {"strides": list(window.strides), "dilations": list(window.dilations), "group": group}
    sizes, outs = static(dims_of(x)[2:]), static(dims_of(y)[2:])
    if sizes is not None and outs is not None and window.begin is not None and window.end is not None:
        covered = [(o - 1) * s + e for o, s, e in zip(outs, window.strides, window.extent, strict=True)]
        # Elements after the last window, fewer than a stride, are added; a last window that hangs over (ceil_mode)
        # is cropped.
        rest = [n + b - c for n, b, c in zip(sizes, window.begin, covered, strict=True)]
        pads, room = [*window.begin, *(max(-r, 0) for r in rest)], [max(r, 0) for r in rest]
        return op.ConvTranspose(patches, kernel, pads=pads, output_padding=room, **common)
    whole = op.ConvTranspose(patches, kernel, **common)
    begin, size = begin_of(op, window, x, y), spatial_shape(op, x)
    stop = op.Add(begin, size)
    missing = op.Max(op.Sub(stop, spatial_shape(op, whole)), op.ints(0))
    whole = op.Pad(whole, op.Concat(op.ints(*[0] * (window.rank + 4)), missing, axis=0))
    return op.Slice(whole, begin, stop, op.ints(*range(2, 2 + window.rank)))
