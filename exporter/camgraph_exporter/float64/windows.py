"""Sliding windows: where a kernel lies on its input, for convolutions and poolings alike."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Windows:
    """The windows of a kernel over the spatial axes of an input; every tuple has one entry an axis.

    `end` is the padding that the node asks for. With `ceil_mode` the last window may reach further, by
    `overhang`, into places that belong neither to the input nor to its padding.
    """

    size: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begin: tuple[int, ...]
    end: tuple[int, ...]
    out: tuple[int, ...]

    @property
    def extent(self) -> tuple[int, ...]:
        """Size of the kernel with its dilation."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def overhang(self) -> tuple[int, ...]:
        """How far the last window reaches beyond the padded input."""
        reach = [(o - 1) * s + e for o, s, e in zip(self.out, self.strides, self.extent, strict=True)]
        padded = [b + n + e for b, n, e in zip(self.begin, self.size, self.end, strict=True)]
        return tuple(max(0, r - p) for r, p in zip(reach, padded, strict=True))

    def pad(self, x: Array, value: Any) -> Array:
        """Pads `x` [N, C, *size] with `value` so that every window lies inside."""
        after = [e + h for e, h in zip(self.end, self.overhang, strict=True)]
        if not any(self.begin) and not any(after):
            return x
        widths = [(0, 0), (0, 0), *zip(self.begin, after, strict=True)]
        return np.pad(x, widths, constant_values=value)

    def taps(self, padded: Array) -> Iterator[tuple[tuple[int, ...], Array]]:
        """Yields, in scan order, each kernel position and the view [..., *out] of what lies under it."""
        for tap in itertools.product(*map(range, self.kernel)):
            starts = [t * d for t, d in zip(tap, self.dilations, strict=True)]
            under: tuple[Any, ...] = tuple(
                slice(a, a + (o - 1) * s + 1, s) for a, o, s in zip(starts, self.out, self.strides, strict=True)
            )
            yield tap, padded[(..., *under)]

    def fold(self, padded: Array, combine: np.ufunc) -> Array:
        """Folds `combine` (np.add, np.maximum) over every window, one axis after the other: [N, C, *out]."""
        for axis in range(len(self.kernel)):
            padded = self._fold_axis(padded, combine, axis)
        return padded

    def _fold_axis(self, padded: Array, combine: np.ufunc, axis: int) -> Array:
        along = np.moveaxis(padded, axis - len(self.kernel), -1)
        out, stride, dilation = self.out[axis], self.strides[axis], self.dilations[axis]
        result = along[..., : (out - 1) * stride + 1 : stride].copy()
        for start in range(dilation, self.kernel[axis] * dilation, dilation):
            combine(result, along[..., start : start + (out - 1) * stride + 1 : stride], out=result)
        return np.moveaxis(result, -1, axis - len(self.kernel))


def resolve_windows(
    size: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int] | None,
    dilations: Sequence[int] | None,
    pads: Sequence[int] | None,
    *,
    auto_pad: str,
    ceil_mode: bool = False,
) -> Windows:
    """Works out padding and output size as the ONNX operators Conv and *Pool define them.

    `size` is the input's spatial shape; absent attributes are None. SAME_UPPER and SAME_LOWER give
    ceil(size / stride) windows, the odd pixel of padding after respectively before the input.
    """
    rank = len(size)
    steps = tuple(strides or (1,) * rank)
    spread = tuple(dilations or (1,) * rank)
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, spread, strict=True)]
    if auto_pad in {"SAME_UPPER", "SAME_LOWER"}:
        begin, end = _same_padding(size, extent, steps, upper=auto_pad == "SAME_UPPER")
    elif auto_pad == "VALID" or not pads:
        begin = end = (0,) * rank
    else:
        begin, end = tuple(pads[:rank]), tuple(pads[rank:])
    out = tuple(
        _count_windows(n, e, s, b, a, ceil_mode=ceil_mode)
        for n, e, s, b, a in zip(size, extent, steps, begin, end, strict=True)
    )
    return Windows(tuple(size), tuple(kernel), steps, spread, begin, end, out)


def _same_padding(
    size: Sequence[int], extent: Sequence[int], strides: Sequence[int], *, upper: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    total = [max(0, (-(-n // s) - 1) * s + e - n) for n, e, s in zip(size, extent, strides, strict=True)]
    smaller = tuple(t // 2 for t in total)
    larger = tuple(t - t // 2 for t in total)
    return (smaller, larger) if upper else (larger, smaller)


def _count_windows(size: int, extent: int, stride: int, begin: int, end: int, *, ceil_mode: bool) -> int:
    room = size + begin + end - extent
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    # A window that would start in the padding after the input is dropped.
    return count - 1 if (count - 1) * stride >= size + begin else count
