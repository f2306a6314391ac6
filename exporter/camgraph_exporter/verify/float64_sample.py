"""GridSample and AffineGrid in float64."""

import itertools
from typing import Any

import numpy as np

from camgraph_exporter.verify.float64_op import Float64Op
from camgraph_exporter.verify.float64_resize import cubic_kernel
from camgraph_exporter.verify.float64_windows import Array


class GridSample(Float64Op):
    """Samples `x` [N, C, *size] at `grid` [N, *out, rank], whose last axis has x first, from -1 to 1."""

    def _run(
        self, x: Array, grid: Array, *, mode: str, padding_mode: str, align_corners: int
    ) -> tuple[Array]:
        size = x.shape[2:]
        places = [
            _to_pixels(grid[..., -1 - axis], n, align=bool(align_corners)) for axis, n in enumerate(size)
        ]
        taps = [_taps(place, mode) for place in places]
        y = np.zeros((*x.shape[:2], *grid.shape[1:-1]), x.dtype)
        sample = np.arange(x.shape[0]).reshape(-1, *(1,) * len(size))
        for combination in itertools.product(*taps):
            weight: Array = np.ones(grid.shape[:-1], x.dtype)
            index = []
            for (position, share), n in zip(combination, size, strict=True):
                inside, element = _element(position, n, padding_mode, align=bool(align_corners))
                weight = weight * share * inside
                index.append(element)
            chosen: tuple[Any, ...] = (sample, slice(None), *index)
            y += np.moveaxis(x[chosen], -1, 1) * weight[:, None]
        return (y,)


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
