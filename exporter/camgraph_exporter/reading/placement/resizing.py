"""Resize, Upsample and GridSample: the place of an output element is where it reads its input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camgraph_exporter.reading.placement.elements import WAYS, Array, Elements, LocatedAxis, Lost, split
from camgraph_exporter.reading.placement.located import Located, located
from camgraph_exporter.reading.placement.step import MAY_MOVE, Step, moved

_BY_DATA = "samples its input at places that depend on the image"


@dataclass(frozen=True)
class _Resized:
    """One resized axis: `scale` is output over input as the node uses it, `roi` a part of the input in [0, 1]."""

    size: int
    out: int
    scale: float
    roi: tuple[float, float]


def _half_pixel(item: _Resized, out: Array) -> Array:
    return (out + 0.5) / item.scale - 0.5


def _symmetric(item: _Resized, out: Array) -> Array:
    offset = item.size / 2 * (1 - item.out / (item.scale * item.size))
    return offset + _half_pixel(item, out)


def _corners(item: _Resized, out: Array) -> Array:
    return out * ((item.size - 1) / (item.out - 1) if item.out > 1 else 0.0)


def _crop(item: _Resized, out: Array) -> Array:
    start, end = item.roi
    last = item.size - 1
    if item.out == 1:
        return np.full(1, (start + end) / 2 * last)
    return start * last + out * ((end - start) * last / (item.out - 1))


# ONNX's Resize, attribute coordinate_transformation_mode: from output elements to positions in the input.
_COORDINATES: dict[str, Callable[[_Resized, Array], Array]] = {
    "half_pixel": _half_pixel,
    "pytorch_half_pixel": lambda item, out: _half_pixel(item, out) if item.out > 1 else np.zeros(1),
    "half_pixel_symmetric": _symmetric,
    "asymmetric": lambda item, out: out / item.scale,
    "align_corners": _corners,
    "tf_crop_and_resize": _crop,
    "tf_half_pixel_for_nn": lambda item, out: (out + 0.5) / item.scale,
}  # fmt: skip  # a table, in rows of its own
_ROUNDINGS: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda where: np.ceil(where - 0.5),
    "round_prefer_ceil": lambda where: np.floor(where + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def resize(step: Step, index: int) -> Located:
    """Place each output element where it reads; nearest neighbours are taken together, as one line."""
    x, shape, out = step.place(0), step.shape(0), step.out(index)
    if x is None or len(shape) != len(out):
        return step.all_lost(index, MAY_MOVE)
    chosen = step.numbers("axes")
    axes = list(range(len(out))) if chosen is None else [axis % len(out) for axis in chosen]
    items = _resized(step, [shape[i] for i in axes], [out[i] for i in axes])
    if items is None:
        return step.all_lost(index, MAY_MOVE)
    if all(item.scale == 1 and item.size == item.out for item in items):
        return x  # onnxruntime copies here, even where a part is to be cut
    result = list(x.axes)
    for i, item in zip(axes, items, strict=True):
        result[i] = _resized_axis(step, x.axes[i], item)
    return located(x.origin, result)


def _resized_axis(step: Step, axis: LocatedAxis, item: _Resized) -> LocatedAxis:
    if isinstance(axis, Lost) or (item.scale == 1 and item.size == item.out and item.roi == (0.0, 1.0)):
        return axis
    old = step.node.op_type == "Upsample"
    mode = step.text("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    if mode not in _COORDINATES:
        return step.lost(MAY_MOVE)
    where = _COORDINATES[mode](item, np.arange(item.out, dtype=np.float64))
    last = item.out - 1
    factor = float(where[-1] - where[0]) / last if last else (item.roi[1] - item.roi[0]) / item.scale
    if step.text("mode", "nearest") == "nearest":
        rounding = _ROUNDINGS[step.text("nearest_mode", "floor" if old else "round_prefer_floor")]
        where = np.clip(rounding(where), 0, item.size - 1)
    return moved(step, axis, axis.along_line(item.out, factor, float(np.mean(where)) - factor * last / 2))


def _resized(step: Step, sizes: list[int], outs: list[int]) -> list[_Resized] | None:
    """Return how each axis is resized; None where a part of the image is cut that is only known with the image."""
    roi = step.constant(1) if step.node.op_type == "Resize" else None
    cuts = step.text("coordinate_transformation_mode", "") == "tf_crop_and_resize"
    if cuts and (roi is None or len(roi) != 2 * len(sizes)):
        return None
    scales = _scales(step, sizes, outs)
    parts = [
        (float(roi[i]), float(roi[i + len(sizes)])) if cuts and roi is not None else (0.0, 1.0)
        for i in range(len(sizes))
    ]
    return [_Resized(*item) for item in zip(sizes, outs, scales, parts, strict=True)]


def _scales(step: Step, sizes: list[int], outs: list[int]) -> list[float]:
    scales = step.constant(2 if step.node.op_type == "Resize" else 1)
    given = step.attribute("scales") if scales is None or scales.size == 0 else scales
    if given is not None and len(given) == len(sizes):  # type: ignore[arg-type]  # a list or an array of numbers
        return [float(scale) for scale in given]  # type: ignore[attr-defined]  # an attribute of numbers
    ratios = [out / size for out, size in zip(outs, sizes, strict=True)]
    policy, wanted = step.text("keep_aspect_ratio_policy", "stretch"), step.constant(3)
    if policy == "stretch" or wanted is None:
        return ratios
    exact = [float(want) / size for want, size in zip(wanted, sizes, strict=True)]
    return [min(exact) if policy == "not_larger" else max(exact)] * len(sizes)


def grid_sample(step: Step, index: int) -> Located:
    """Place each output element where the grid, float [N, h, w, 2] of (across, down) in -1 ... 1, reads the input."""
    x, shape, out, grid = step.place(0), step.shape(0), step.out(index), step.constant(1)
    if x is None or len(out) != 4:
        return step.all_lost(index, MAY_MOVE)
    if grid is None or not np.allclose(grid, grid[:1], atol=1e-6):
        return Located(x.origin, (*x.axes[:2], step.lost(_BY_DATA), step.lost(_BY_DATA)))
    down = _on_line(x.axes[2], _in_elements(grid[0, ..., 1], shape[2], step))
    across = _on_line(x.axes[3], _in_elements(grid[0, ..., 0], shape[3], step))
    if down is None or across is None:
        return Located(x.origin, (*x.axes[:2], step.lost(MAY_MOVE), step.lost(MAY_MOVE)))
    places = Elements((down + across).reshape(-1, WAYS), x.cell)
    parts = split(places, out[2:])
    axes: list[LocatedAxis] = list(parts) if parts is not None else [step.lost("bends the map")] * 2
    return located(x.origin, [*x.axes[:2], *axes])


def _in_elements(grid: NDArray[np.floating], size: int, step: Step) -> Array:
    """Return positions in -1 ... 1 as elements of the input."""
    wide = grid.astype(np.float64) + 1
    return wide / 2 * (size - 1) if step.number("align_corners", 0) else (wide * size - 1) / 2


def _on_line(axis: LocatedAxis, positions: Array) -> Array | None:
    """Return the offsets [..., 3] of positions between the elements of a line."""
    step = axis.step() if isinstance(axis, Elements) else None
    return None if step is None else positions[..., None] * step
