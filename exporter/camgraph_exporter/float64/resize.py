"""Resize and Upsample in float64, one axis after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from camgraph_exporter.float64.op import Float64Op
from camgraph_exporter.float64.windows import Array


@dataclass(frozen=True)
class _ResizedAxis:
    """How one axis is resized: `scale` is output over input, `roi` a part of the input in [0, 1]."""

    axis: int
    size: int
    out: int
    scale: float
    roi: tuple[float, float]


class Resize(Float64Op):
    """Nearest, linear and cubic resizing; the defaults are those of opset 10, which lacked the attributes."""

    def _run(
        self,
        x: Array,
        *inputs: Array | None,
        mode: str,
        coordinate_transformation_mode: str = "asymmetric",
        nearest_mode: str = "simple",
        cubic_coeff_a: float = -0.75,
        exclude_outside: int = 0,
        extrapolation_value: float = 0.0,
        antialias: int = 0,
        axes: Sequence[int] | None = None,
        keep_aspect_ratio_policy: str = "stretch",
    ) -> tuple[Array]:
        roi, scales, sizes = _inputs(inputs, first_is_scales=self.opset < 11)
        chosen = [a % x.ndim for a in (range(x.ndim) if axes is None else axes)]
        plan = _plan(x.shape, chosen, scales=scales, sizes=sizes, roi=roi, policy=keep_aspect_ratio_policy)
        outside: list[tuple[int, Array]] = []
        for item in plan:
            if item.out == item.size and item.scale == 1 and item.roi == (0.0, 1.0):
                continue
            if mode == "nearest":
                where = _coordinates(item, coordinate_transformation_mode, np.float32)
                x = x.take(_nearest(where, nearest_mode, item), axis=item.axis)
            else:
                where = _coordinates(item, coordinate_transformation_mode, np.float64)
                matrix = _matrix(
                    where, item, mode, cubic_coeff_a, exclude=bool(exclude_outside), antialias=bool(antialias)
                )
                x = np.moveaxis(np.moveaxis(x, item.axis, -1) @ matrix.T, -1, item.axis)
            outside.append((item.axis, (where < 0) | (where > item.size - 1)))
        if coordinate_transformation_mode == "tf_crop_and_resize":
            x = _extrapolate(x, outside, extrapolation_value)
        return (x,)


class Upsample(Float64Op):
    """The predecessor of Resize: scales as an attribute in opset 7 and as an input in opset 9."""

    def _run(self, x: Array, scales_input: Array | None = None, *, mode: str, **attributes: Any) -> tuple[Array]:
        scales = attributes["scales"] if scales_input is None else scales_input
        for item in _plan(x.shape, range(x.ndim), scales=np.asarray(scales)):
            if item.scale == 1:
                continue
            if mode == "nearest":
                where = _coordinates(item, "asymmetric", np.float32)
                x = x.take(_nearest(where, "simple", item), axis=item.axis)
            else:
                matrix = _matrix(_coordinates(item, "asymmetric", np.float64), item, "linear")
                x = np.moveaxis(np.moveaxis(x, item.axis, -1) @ matrix.T, -1, item.axis)
        return (x,)


def _inputs(inputs: Sequence[Array | None], *, first_is_scales: bool) -> tuple[Array | None, ...]:
    """The inputs roi, scales and sizes; an empty tensor stands for an absent one."""
    padded = [None, *inputs] if first_is_scales else [*inputs]
    padded += [None] * (3 - len(padded))
    return tuple(None if value is None or value.size == 0 else value for value in padded)


def _plan(
    shape: Sequence[int],
    axes: Sequence[int],
    *,
    scales: Array | None,
    sizes: Array | None = None,
    roi: Array | None = None,
    policy: str = "stretch",
) -> list[_ResizedAxis]:
    if scales is not None:
        # The output size is the floor of a float32 product, as deployed: 0.7 * 10 is 7 in float32, not 6.
        factors = [float(s) for s in scales]
        outs = [int(np.float32(s) * np.float32(shape[a])) for s, a in zip(factors, axes, strict=True)]
    elif sizes is not None:
        outs = _fit([int(s) for s in sizes], [shape[a] for a in axes], policy)
        factors = [out / shape[a] for out, a in zip(outs, axes, strict=True)]
        if policy != "stretch":
            factors = [_common_factor(sizes, [shape[a] for a in axes], policy)] * len(axes)
    else:
        raise ValueError("neither scales nor sizes are given")
    starts = [0.0] * len(axes) if roi is None else [float(r) for r in roi[: len(axes)]]
    ends = [1.0] * len(axes) if roi is None else [float(r) for r in roi[len(axes) :]]
    return [
        _ResizedAxis(a, shape[a], out, factor, (start, end))
        for a, out, factor, start, end in zip(axes, outs, factors, starts, ends, strict=True)
    ]


def _fit(sizes: list[int], shape: list[int], policy: str) -> list[int]:
    if policy == "stretch":
        return sizes
    factor = _common_factor(sizes, shape, policy)
    return [int(np.floor(factor * n + 0.5)) for n in shape]


def _common_factor(sizes: Sequence[int] | Array, shape: list[int], policy: str) -> float:
    ratios = [float(s) / n for s, n in zip(sizes, shape, strict=True)]
    return min(ratios) if policy == "not_larger" else max(ratios)


def _coordinates(item: _ResizedAxis, mode: str, precision: type[np.floating[Any]]) -> Array:
    """Where in the input each output element lies.

    Nearest asks for float32, in which runtimes work: the rounding decides which element wins a tie.
    """
    i: Array = np.arange(item.out, dtype=precision)
    size, out, scale, half, start, end = np.array([item.size, item.out, item.scale, 0.5, *item.roi], dtype=precision)
    centred: Array = (i + half) / scale
    where: Array
    match mode:
        case "half_pixel":
            where = centred - half
        case "pytorch_half_pixel":
            where = centred - half if item.out > 1 else np.zeros_like(i)
        case "tf_half_pixel_for_nn":
            where = centred
        case "half_pixel_symmetric":
            where = centred - half + size / 2 * (1 - out / (scale * size))
        case "align_corners":
            where = i * (size - 1) / (out - 1) if item.out > 1 else np.zeros_like(i)
        case "tf_crop_and_resize" if item.out > 1:
            where = start * (size - 1) + i * (end - start) * (size - 1) / (out - 1)
        case "tf_crop_and_resize":
            where = half * (start + end) * (size - 1) + np.zeros_like(i)
        case _:
            where = i / scale
    return where


def _nearest(where: Array, mode: str, item: _ResizedAxis) -> Array:
    match mode:
        case "simple":
            index = np.ceil(where) if item.scale < 1 else np.floor(where)
        case "round_prefer_floor":
            index = np.ceil(where - np.float32(0.5))
        case "round_prefer_ceil":
            index = np.floor(where + np.float32(0.5))
        case "ceil":
            index = np.ceil(where)
        case _:
            index = np.floor(where)
    return index.astype(np.int64).clip(0, item.size - 1)


def _matrix(
    where: Array,
    item: _ResizedAxis,
    mode: str,
    a: float = -0.75,
    *,
    exclude: bool = False,
    antialias: bool = False,
) -> Array:
    """Interpolation as a matrix [out, size]; positions outside read the border, or are left out (`exclude`).

    With `antialias` a shrinking filter is stretched over the input elements that one output element covers.
    """
    stretch = max(1.0, 1 / item.scale) if antialias else 1.0
    reach = int(np.ceil((2 if mode == "cubic" else 1) * stretch))
    position = np.floor(where).astype(np.int64)[:, None] + np.arange(-reach, reach + 2)
    distance = np.abs(position - where[:, None]) / stretch
    weight = cubic_kernel(distance, float(a)) if mode == "cubic" else np.maximum(0, 1 - distance)
    if exclude:
        weight = np.where((position >= 0) & (position < item.size), weight, 0)
    if exclude or antialias:
        weight /= weight.sum(axis=1, keepdims=True)
    matrix = np.zeros((item.out, item.size))
    rows = np.broadcast_to(np.arange(item.out)[:, None], position.shape)
    np.add.at(matrix, (rows, position.clip(0, item.size - 1)), weight)
    return matrix


def cubic_kernel(distance: Array, a: float) -> Array:
    """Cubic convolution kernel (Keys 1981, equation 15, with its free parameter `a`)."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))


def _extrapolate(x: Array, outside: Sequence[tuple[int, Array]], value: float) -> Array:
    """Fills what an axis took from outside the input."""
    for axis, mask in outside:
        shape = [1] * x.ndim
        shape[axis] = -1
        x = np.where(mask.reshape(shape), x.dtype.type(value), x)
    return x
