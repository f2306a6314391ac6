"""Sampling at fractional places in float64: GridSample, AffineGrid, DeformConv."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from camgraph_exporter.float64.op import Float64Op
from camgraph_exporter.float64.resize import cubic_kernel
from camgraph_exporter.float64.windows import Array, Windows, resolve_windows


class GridSample(Float64Op):
    """Samples `x` [N, C, *size] at `grid` [N, *out, rank], whose last axis has x first, from -1 to 1."""

    def _run(self, x: Array, grid: Array, *, mode: str, padding_mode: str, align_corners: int) -> tuple[Array]:
        align = bool(align_corners)
        places = [_to_pixels(grid[..., -1 - axis], n, align=align) for axis, n in enumerate(x.shape[2:])]
        return (_sample(x, places, mode=mode, padding=padding_mode, align=align),)


def _sample(x: Array, places: Sequence[Array], *, mode: str, padding: str, align: bool = False) -> Array:
    """Reads `x` [N, C, *size] at fractional pixels, one array [N, *out] an axis; returns [N, C, *out]."""
    size, out = x.shape[2:], places[0].shape[1:]
    taps = [_taps(place, mode) for place in places]
    y = np.zeros((*x.shape[:2], *out), x.dtype)
    sample = np.arange(x.shape[0]).reshape(-1, *(1,) * len(out))
    for combination in itertools.product(*taps):
        weight: Array = np.ones((x.shape[0], *out), x.dtype)
        index = []
        for (position, share), n in zip(combination, size, strict=True):
            inside, element = _element(position, n, padding, align=align)
            weight = weight * share * inside
            index.append(element)
        chosen: tuple[Any, ...] = (sample, slice(None), *index)
        y += np.moveaxis(x[chosen], -1, 1) * weight[:, None]
    return y


def _to_pixels(grid: Array, size: int, *, align: bool) -> Array:
    return (grid + 1) / 2 * (size - 1) if align else ((grid + 1) * size - 1) / 2


def _taps(place: Array, mode: str) -> list[tuple[Array, Array]]:
    """Elements that take part along one axis, and their weights."""
    if mode == "nearest":
        return [(np.rint(place).astype(np.int64), np.ones_like(place))]
    base = np.floor(place).astype(np.int64)
    if mode in {"cubic", "bicubic"}:
        return [(base + o, cubic_kernel(np.abs(base + o - place), -0.75)) for o in (-1, 0, 1, 2)]
    return [(base, base + 1 - place), (base + 1, place - base)]


def _element(position: Array, size: int, padding: str, *, align: bool) -> tuple[Array, Array]:
    """Whether an element counts, and which one it is.

    Padding is done element by element. For linear and cubic that equals moving the coordinate first, because
    the interpolation of a mirrored signal is the mirrored interpolation.
    """
    inside = np.ones(position.shape, bool)
    if padding == "zeros":
        inside = (position >= 0) & (position < size)
    elif padding == "reflection":
        position = _mirror(position, size, repeat_border=not align)
    return inside, position.clip(0, size - 1)


def _mirror(position: Array, size: int, *, repeat_border: bool) -> Array:
    """Mirrors at the outer edges of the border elements (they repeat) or at their centres."""
    period = 2 * size if repeat_border else max(1, 2 * (size - 1))
    position = position % period
    mirrored: Array = np.minimum(position, period - position - (1 if repeat_border else 0))
    return mirrored


class AffineGrid(Float64Op):
    """The grid [N, *out, rank] of an affine map `theta` [N, rank, rank + 1], x first, for GridSample."""

    def _run(self, theta: Array, size: Array, *, align_corners: int) -> tuple[Array]:
        axes = [_centres(int(n), align=bool(align_corners)) for n in size[2:]]
        places = np.stack(np.meshgrid(*axes, indexing="ij")[::-1], axis=-1)
        linear, shift = theta[..., :-1], theta[..., -1]
        flat = places.reshape(-1, len(axes)) @ linear.transpose(0, 2, 1) + shift[:, None]
        return (flat.reshape(theta.shape[0], *places.shape),)


def _centres(count: int, *, align: bool) -> Array:
    if align and count > 1:
        return np.linspace(-1, 1, count)
    return (2 * np.arange(count, dtype=np.float64) + 1) / count - 1


class DeformConv(Float64Op):
    """Deformable convolution (Zhu et al. 2018, arXiv:1811.11168, equation 1): each tap has an offset of its own.

    `offset` is [N, groups * prod(kernel) * rank, *out], `mask` the same without the rank.
    """

    def _run(
        self,
        x: Array,
        w: Array,
        offset: Array,
        bias: Array | None = None,
        mask: Array | None = None,
        *,
        dilations: Sequence[int] | None,
        group: int,
        kernel_shape: Sequence[int] | None,  # noqa: ARG002 (the weights have it)
        offset_group: int,
        pads: Sequence[int] | None,
        strides: Sequence[int] | None,
    ) -> tuple[Array]:
        kernel = w.shape[2:]
        windows = resolve_windows(x.shape[2:], kernel, strides, dilations, pads, auto_pad="NOTSET")
        folded = x.shape[0] * offset_group
        moved = offset.reshape(folded, *kernel, len(kernel), *windows.out)
        places = [base + moved.take(axis, axis=1 + len(kernel)) for axis, base in enumerate(_tap_places(windows))]
        columns = _sample(x.reshape(folded, -1, *x.shape[2:]), places, mode="linear", padding="zeros")
        if mask is not None:
            columns = columns * mask.reshape(folded, 1, *kernel, *windows.out)
        filters = w.reshape(group, w.shape[0] // group, -1)
        y = filters @ columns.reshape(x.shape[0], group, -1, math.prod(windows.out))
        y = y.reshape(x.shape[0], w.shape[0], *windows.out)
        return (y if bias is None else y + bias.reshape(-1, *(1,) * len(kernel)),)


def _tap_places(windows: Windows) -> list[Array]:
    """Per axis, the pixel under each tap of each window; broadcasts to [*kernel, *out]."""
    rank = len(windows.out)
    places = []
    for axis in range(rank):
        taps = np.arange(windows.kernel[axis])[:, None] * windows.dilations[axis]
        starts = np.arange(windows.out[axis]) * windows.strides[axis] - windows.begin[axis]
        shape = [1] * (2 * rank)
        shape[axis], shape[rank + axis] = windows.kernel[axis], windows.out[axis]
        places.append((taps + starts).reshape(shape))
    return places
