"""Adds windows up at their places in the input: the adjoint of sliding a window, and the gradient of a convolution.

A ConvTranspose does that for any window. onnxruntime runs operators of stride 1 faster, so these come first where they
apply; benchmarks/operator_forms.py measures them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of, static
from camgraph_exporter.vjp.backward import Backward, dtype_of
from camgraph_exporter.vjp.kernels import flipped, static_sizes, swapped
from camgraph_exporter.vjp.window import Window, begin_of, spatial_shape

# ConvTranspose rearranges its weights at each run, which phases spare; they rearrange their result instead. From this
# many weights for each element of the result on, phases win: at the end of a ResNet they take 0.8 to 0.9 of the time.
_WEIGHTS_PER_ELEMENT = 1
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
        result = _repeat(op, fixed, patches, kernel) or _fold_depthwise(op, fixed, patches, kernel, group)
        result = result or _fold_by_phases(op, fixed, patches, kernel, group)
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


def _repeat(op: Backward, fixed: _Fixed, patches: ir.Value, kernel: ir.Value) -> ir.Value | None:
    """Sums over tiles, as average pooling makes them: every element of a tile gets the tile's cotangent."""
    array = op.known(kernel)
    if array is None or array.shape[1] != 1 or (array != 1).any() or not fixed.tiles:
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
    """One convolution of stride 1 for each place within a stride, their results in turn.

    Of y_i = sum_k x_(s i + k - p) w_k follows dx_(s q + a) = sum_m g_(q + c - m) w_(k0 + s m) with k0 = (a + p) mod s
    and c = (a + p - k0) / s: as many products in all as the ConvTranspose has.
    """
    window, stride = fixed.window, fixed.window.strides[0]
    _, c, *_ = sizes = static_sizes(kernel)
    if group != 1 or set(window.strides) != {stride} or set(window.dilations) != {1}:
        return None
    if any(n % stride for n in fixed.size) or math.prod(sizes) < _WEIGHTS_PER_ELEMENT * c * math.prod(fixed.size):
        return None
    rows, columns = ([_phase(fixed, axis, a) for a in range(stride)] for axis in range(2))
    if any(min(phase.pads) < 0 for phase in [*rows, *columns] if phase.taps):
        return None
    kernel = swapped(op, kernel, group)
    if window.kernel == (1, 1) and rows[0].taps and columns[0].taps:
        return _spread(op, op.Conv(patches, kernel, kernel_shape=[1, 1]), window.strides)
    if any(phase.taps == 0 for phase in [*rows, *columns]):
        return None
    return _interleaved(op, patches, kernel, list(itertools.product(rows, columns)), stride)


def _phase(fixed: _Fixed, axis: int, a: int) -> _Phase:
    kernel, stride = fixed.window.kernel[axis], fixed.window.strides[axis]
    first = (a + fixed.begin[axis]) % stride
    shift = (a + fixed.begin[axis] - first) // stride
    taps = -(-(kernel - first) // stride) if first < kernel else 0
    pads = (taps - 1 - shift, fixed.size[axis] // stride - fixed.out[axis] + shift)
    return _Phase(first + stride * (taps - 1), taps, pads)


def _interleaved(
    op: Backward, patches: ir.Value, kernel: ir.Value, phases: Sequence[tuple[_Phase, _Phase]], stride: int
) -> ir.Value:
    """Convolve for each phase and put the results in turn. kernel: [C, M, *kernel]."""
    maps = []
    # Phases of the same pads and taps are one convolution with more channels.
    for (height, width), alike in itertools.groupby(phases, key=lambda phase: [(p.pads, p.taps) for p in phase]):
        kernels = [_every(op, kernel, row, column, stride) for row, column in alike]
        stacked = op.Concat(*kernels, axis=0) if len(kernels) > 1 else kernels[0]
        pads = [height[0][0], width[0][0], height[0][1], width[0][1]]
        maps.append(op.Conv(patches, stacked, pads=pads, kernel_shape=[height[1], width[1]]))
    depth = op.Concat(*maps, axis=1) if len(maps) > 1 else maps[0]
    return op.DepthToSpace(depth, blocksize=stride)


def _every(op: Backward, kernel: ir.Value, row: _Phase, column: _Phase, stride: int) -> ir.Value:
    """Return every stride-th element of the kernel, backwards."""
    end = -(2**31)
    starts, ends, steps = op.ints(row.last, column.last), op.ints(end, end), op.ints(-stride, -stride)
    return op.Slice(kernel, starts, ends, op.ints(2, 3), steps)


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
    common = {"strides": list(window.strides), "dilations": list(window.dilations), "group": group}
    sizes, outs = static(dims_of(x)[2:]), static(dims_of(y)[2:])
    if sizes is not None and outs is not None and window.begin is not None and window.end is not None:
        covered = [(o - 1) * s + e for o, s, e in zip(outs, window.strides, window.extent, strict=True)]
        # Elements behind the last window (floor) are added; a last window that hangs over (ceil_mode) is cropped.
        rest = [n + b - c for n, b, c in zip(sizes, window.begin, covered, strict=True)]
        pads, room = [*window.begin, *(max(-r, 0) for r in rest)], [max(r, 0) for r in rest]
        if all(r < max(s, d) for r, s, d in zip(room, window.strides, window.dilations, strict=True)):
            return op.ConvTranspose(patches, kernel, pads=pads, output_padding=room, **common)
    whole = op.ConvTranspose(patches, kernel, **common)
    begin, size = begin_of(op, window, x, y), spatial_shape(op, x)
    stop = op.Add(begin, size)
    missing = op.Max(op.Sub(stop, spatial_shape(op, whole)), op.ints(0))
    whole = op.Pad(whole, op.Concat(op.ints(*[0] * (window.rank + 4)), missing, axis=0))
    return op.Slice(whole, begin, stop, op.ints(*range(2, 2 + window.rank)))
