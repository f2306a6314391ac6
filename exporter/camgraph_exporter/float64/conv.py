"""Convolutions in float64, by matrix products: Conv, ConvTranspose, Col2Im."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from camgraph_exporter.float64.op import Float64Op
from camgraph_exporter.float64.windows import Array, Windows, resolve_windows

# Elements of the unfolded input that are held at once (64 MiB of float64).
_BLOCK = 1 << 23


def convolve(x: Array, w: Array, windows: Windows, group: int = 1) -> Array:
    """Cross-correlates `x` [N, C, *size] with `w` [M, C/group, *kernel]: [N, M, *out] in the dtype of `x`."""
    x = windows.pad(x, 0)
    if w.shape[1] == 1:
        return _depthwise(x, w, windows)
    return np.stack([_grouped(sample, w, windows, group) for sample in x])


def _depthwise(x: Array, w: Array, windows: Windows) -> Array:
    """One input channel a filter: a sum over the kernel's taps, as matrix products would be all overhead."""
    samples, channels = x.shape[:2]
    multiplier = w.shape[0] // channels
    taps_of = np.moveaxis(w, (0, 1), (-2, -1))[..., 0]
    y = np.zeros((samples, channels, multiplier, *windows.out), x.dtype)
    weight_shape = (channels, multiplier, *(1,) * len(windows.out))
    for tap, view in windows.taps(x):
        y += view[:, :, None] * taps_of[tap].reshape(weight_shape)
    return y.reshape(samples, channels * multiplier, *windows.out)


def _grouped(sample: Array, w: Array, windows: Windows, group: int) -> Array:
    """One sample [C, *padded] to [M, *out], in blocks along the first spatial axis to bound the memory."""
    rank = len(windows.out)
    filters = w.reshape(group, w.shape[0] // group, -1)
    views = _unfold(sample, windows)
    row = math.prod(views.shape) // max(1, windows.out[0])
    step = max(1, _BLOCK // max(1, row))
    y = np.empty((group, filters.shape[1], *windows.out), sample.dtype)
    for start in range(0, windows.out[0], step):
        block = views[:, *(slice(None),) * rank, start : start + step]
        columns = block.reshape(group, filters.shape[2], -1)
        y[:, :, start : start + step] = (filters @ columns).reshape(*y.shape[:2], *block.shape[1 + rank :])
    return y.reshape(w.shape[0], *windows.out)


def _unfold(sample: Array, windows: Windows) -> Array:
    """A view [C, *kernel, *out] of the padded `sample` [C, *padded]."""
    rank = len(windows.out)
    axes = tuple(range(1, rank + 1))
    views = sliding_window_view(sample, windows.extent, axis=axes)
    positions = (slice(None, (o - 1) * s + 1, s) for o, s in zip(windows.out, windows.strides, strict=True))
    views = views[(slice(None), *positions, *(slice(None, None, d) for d in windows.dilations))]
    return views.transpose(0, *range(rank + 1, 2 * rank + 1), *axes)


def _add_bias(y: Array, bias: Array | None) -> Array:
    return y if bias is None else y + bias.reshape(-1, *(1,) * (y.ndim - 2))


class Conv(Float64Op):
    """Convolution of any rank with groups, dilations and every auto_pad."""

    def _run(
        self,
        x: Array,
        w: Array,
        bias: Array | None = None,
        *,
        auto_pad: str,
        dilations: Sequence[int] | None,
        group: int,
        kernel_shape: Sequence[int] | None,  # noqa: ARG002 (the weights have it)
        pads: Sequence[int] | None,
        strides: Sequence[int] | None,
    ) -> tuple[Array]:
        windows = resolve_windows(x.shape[2:], w.shape[2:], strides, dilations, pads, auto_pad=auto_pad)
        return (_add_bias(convolve(x, w, windows, group), bias),)


class ConvTranspose(Float64Op):
    """Transposed convolution of any rank with groups, dilations, output_padding and output_shape."""

    def _run(
        self,
        x: Array,
        w: Array,
        bias: Array | None = None,
        *,
        auto_pad: str,
        dilations: Sequence[int] | None,
        group: int,
        kernel_shape: Sequence[int] | None,  # noqa: ARG002 (the weights have it)
        output_padding: Sequence[int] | None,
        output_shape: Sequence[int] | None,
        pads: Sequence[int] | None,
        strides: Sequence[int] | None,
    ) -> tuple[Array]:
        rank = x.ndim - 2
        steps, spread = tuple(strides or (1,) * rank), tuple(dilations or (1,) * rank)
        full = _spread(x, w, steps, spread, group)
        extra = output_padding or (0,) * rank
        reach = [n + e for n, e in zip(full.shape[2:], extra, strict=True)]
        if output_shape is None and auto_pad in {"SAME_UPPER", "SAME_LOWER"}:
            output_shape = [n * s for n, s in zip(x.shape[2:], steps, strict=True)]
        if output_shape is not None:
            begin, out = _centre(reach, output_shape[-rank:], upper=auto_pad == "SAME_UPPER")
        else:
            border = (0,) * (2 * rank) if auto_pad == "VALID" or not pads else tuple(pads)
            begin = border[:rank]
            out = tuple(r - b - e for r, b, e in zip(reach, begin, border[rank:], strict=True))
        return (_add_bias(_crop(full, begin, out), bias),)


class Col2Im(Float64Op):
    """Adds the columns [N, C * prod(block), windows] of an unfolded image up: [N, C, *image]."""

    def _run(
        self,
        columns: Array,
        image_shape: Array,
        block_shape: Array,
        *,
        dilations: Sequence[int] | None,
        pads: Sequence[int] | None,
        strides: Sequence[int] | None,
    ) -> tuple[Array]:
        size, block = [int(n) for n in image_shape], [int(n) for n in block_shape]
        windows = resolve_windows(size, block, strides, dilations, pads, auto_pad="NOTSET")
        padded = [b + n + e for b, n, e in zip(windows.begin, size, windows.end, strict=True)]
        y = np.zeros((columns.shape[0], columns.shape[1] // math.prod(block), *padded), columns.dtype)
        by_tap = columns.reshape(*y.shape[:2], *block, *windows.out)
        by_tap = np.moveaxis(by_tap, range(2, 2 + len(block)), range(len(block)))
        for tap, view in windows.taps(y):
            np.add(view, by_tap[tap], out=view)
        return (_crop(y, windows.begin, size),)


def _spread(x: Array, w: Array, strides: Sequence[int], dilations: Sequence[int], group: int) -> Array:
    """Adds every input's kernel [C, M/group, *kernel] into the uncropped output [N, M, *full]."""
    samples, channels, *size = x.shape
    per_group, kernel = w.shape[1], w.shape[2:]
    filters = w.reshape(group, channels // group, -1).transpose(0, 2, 1)
    columns = filters @ x.reshape(samples, group, channels // group, -1)
    columns = columns.reshape(samples, group * per_group, *kernel, *size)
    columns = np.moveaxis(columns, range(2, 2 + len(kernel)), range(len(kernel)))
    full = tuple((n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(size, strides, kernel, dilations, strict=True))
    y = np.zeros((samples, group * per_group, *full), x.dtype)
    # Transposed, the windows over the full output are what the inputs sit in.
    origin = (0,) * len(size)
    windows = Windows(full, kernel, tuple(strides), tuple(dilations), origin, origin, tuple(size))
    for tap, view in windows.taps(y):
        np.add(view, columns[tap], out=view)
    return y


def _centre(
    reach: Sequence[int], output_shape: Sequence[int], *, upper: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Start and size of an asked output shape in the reach; the odd pixel is cut after (upper) or before."""
    total = [max(0, r - o) for r, o in zip(reach, output_shape, strict=True)]
    begin = tuple(t // 2 if upper else t - t // 2 for t in total)
    return begin, tuple(output_shape)


def _crop(full: Array, begin: Sequence[int], out: Sequence[int]) -> Array:
    """Cuts [N, M, *out] out of `full` from `begin` on; output_padding may reach beyond it and reads zeros."""
    missing = [max(0, b + o - n) for b, o, n in zip(begin, out, full.shape[2:], strict=True)]
    before = [max(0, -b) for b in begin]
    full = np.pad(full, [(0, 0), (0, 0), *zip(before, missing, strict=True)])
    starts = [b + p for b, p in zip(begin, before, strict=True)]
    return full[(slice(None), slice(None), *(slice(s, s + o) for s, o in zip(starts, out, strict=True)))]
