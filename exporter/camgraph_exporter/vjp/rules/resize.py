"""Resizing is linear and works on one axis after the other, so its gradient is a product with one matrix an axis.

The matrix is the forward operator applied to the unit matrix, with the same attributes: whatever the coordinate
transformation, the filter, antialiasing or the rounding of the runtime, the gradient belongs to exactly that forward.
For static sizes it is a constant that runtimes fold when they load the file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from camgraph_exporter.errors import LATER_LAYER, GradientError
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.axes import identity_matrix, multiply_axis
from camgraph_exporter.vjp.backward import Backward, dtype_of
from camgraph_exporter.vjp.registry import Cotangents, vjp

_ROI, _SCALES, _SIZES = 1, 2, 3
# What decides how an axis is resized; the unit matrix is resized with the same.
_ATTRIBUTES = (
    "mode",
    "coordinate_transformation_mode",
    "nearest_mode",
    "cubic_coeff_a",
    "exclude_outside",
    "antialias",
)
# How nearest rounds decides whether an integer factor repeats each element in place: out i reads in floor(i / factor).
_REPEATS = {
    ("asymmetric", "floor"),
    *((mode, rounding) for mode in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")
      for rounding in ("round_prefer_floor", "round_prefer_ceil")),
}  # fmt: skip  # a table, in rows of its own


@dataclass(frozen=True)
class _Axis:
    """An axis that is resized: its place among the sizes or scales, and the factor where that is known."""

    axis: int
    index: int
    factor: float | None


@vjp("Resize")
def resize(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = M^T g along each resized axis, where M is the resized unit matrix; repeated elements sum over blocks."""
    resized = _resized_axes(node)
    blocks = _blocks(node, resized)
    if blocks is not None:
        return _sum_blocks(op, node, g, blocks)
    for item in reversed(resized):
        g = multiply_axis(op, op.full(g, node.y, [item.axis]), _matrix(op, node, g, item), item.axis + 1)
    return g


def _resized_axes(node: NodeView) -> list[_Axis]:
    """Return the axes that may change."""
    axes = [axis % node.rank for axis in node.attr_ints("axes", range(node.rank))]
    factors = _factors(node, axes)
    items = [_Axis(axis, i, factor) for i, (axis, factor) in enumerate(zip(axes, factors, strict=True))]
    return [item for item in items if not _is_untouched(node, item, len(axes))]


def _factors(node: NodeView, axes: list[int]) -> list[float | None]:
    """Return output size over input size, as the node uses it; None where it is only known at run time."""
    scales = node.const(_SCALES)
    if _by_scales(node):
        return [None] * len(axes) if scales is None else [float(scale) for scale in scales]
    x, y = dims_of(node.x), dims_of(node.y)
    ratios = [_ratio(y[axis], x[axis]) for axis in axes]
    policy = node.attr_text("keep_aspect_ratio_policy", "stretch")
    return ratios if policy == "stretch" else [_common_factor(node, axes, policy)] * len(axes)


def _ratio(out: int | str, size: int | str) -> float | None:
    if out == size:
        return 1.0
    return out / size if isinstance(out, int) and isinstance(size, int) else None


def _common_factor(node: NodeView, axes: list[int], policy: str) -> float:
    """Return the one factor of a resize that keeps the aspect ratio."""
    sizes = node.const(_SIZES)
    known = [dims_of(node.x)[axis] for axis in axes]
    if sizes is None or not all(isinstance(size, int) for size in known):
        raise _refusal(node, "keeps the aspect ratio of an image whose size is only known at run time")
    ratios = [float(out) / size for out, size in zip(sizes, known, strict=True) if isinstance(size, int)]
    return min(ratios) if policy == "not_larger" else max(ratios)


def _by_scales(node: NodeView) -> bool:
    scales = node.optional(_SCALES)
    return scales is not None and dims_of(scales) != (0,)


def _is_untouched(node: NodeView, item: _Axis, count: int) -> bool:
    """Tell whether an axis passes through as it is."""
    if _crops(node):
        roi = node.const(_ROI)
        if roi is None or roi[item.index] != 0 or roi[item.index + count] != 1:
            return False
    if item.factor is None:
        # Scales that are computed at run time leave batch and channels alone.
        return item.axis < 2 and dims_of(node.x)[item.axis] == dims_of(node.y)[item.axis]
    return item.factor == 1


def _crops(node: NodeView) -> bool:
    return node.attr_text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize"


def _blocks(node: NodeView, resized: list[_Axis]) -> list[int] | None:
    """Return the factor of each spatial axis if each output block repeats one input element, else None."""
    coordinates = node.attr_text("coordinate_transformation_mode", "half_pixel")
    rounding = node.attr_text("nearest_mode", "round_prefer_floor")
    if node.attr_text("mode", "nearest") != "nearest" or (coordinates, rounding) not in _REPEATS:
        return None
    factors = [1] * node.rank
    for item in resized:
        if item.factor is None or not item.factor.is_integer():
            return None
        factors[item.axis] = int(item.factor)
    is_spatial = 3 <= node.rank <= 5 and factors[:2] == [1, 1]
    return factors[2:] if is_spatial else None


def _sum_blocks(op: Backward, node: NodeView, g: ir.Value, factors: list[int]) -> ir.Value:
    """Sum over blocks by a pooling without overlap; a gradient that is constant over space is only multiplied."""
    x, y, count = node.x, node.y, float(math.prod(factors))
    axes = [axis for axis, factor in enumerate(factors, start=2) if factor != 1]
    if not axes:
        return g
    if not any(op.is_full(g, y, [axis]) for axis in axes):
        return op.Mul(g, count)
    means = op.AveragePool(op.flat(g, y), kernel_shape=factors, strides=factors)
    return op.unflat(op.Mul(means, count), x)


def _matrix(op: Backward, node: NodeView, g: ir.Value, item: _Axis) -> ir.Value:
    """Resize the rows of a unit matrix: [out, in]. It has four axes, as runtimes resize those with every filter."""
    size, out = op.size_vector(node.x, item.axis), op.size_vector(node.y, item.axis)
    unit = op.Unsqueeze(identity_matrix(op, size, g), op.ints(0, 1))
    attributes = {name: node.attr(name) for name in _ATTRIBUTES}
    roi = _roi(op, node, item) if _crops(node) else None
    if _by_scales(node) or _factor_differs_from_ratio(node, item):
        resized = op.Resize(unit, roi, _scales(op, node, item), **attributes)
    else:
        resized = op.Resize(unit, roi, None, op.join([op.ints(1, 1), out, size]), **attributes)
    matrix = op.Squeeze(resized, op.ints(0, 1))
    matrix.shape = ir.Shape([dims_of(node.y)[item.axis], dims_of(node.x)[item.axis]])
    return matrix


def _scales(op: Backward, node: NodeView, item: _Axis) -> ir.Value:
    """Return the scales of the unit matrix: the node's own on the rows."""
    if item.factor is not None:
        return op.constant(np.asarray([1, 1, item.factor, 1], dtype=np.float32))
    one = op.constant(np.ones(1, dtype=np.float32))
    scale = op.Slice(node.input(_SCALES), op.ints(item.index), op.ints(item.index + 1))
    return op.Concat(one, one, scale, one, axis=0)


def _roi(op: Backward, node: NodeView, item: _Axis) -> ir.Value:
    """Return the region of the unit matrix: the node's own on the rows, everything on the other axes."""
    roi = node.input(_ROI)
    count = int(dims_of(roi)[0]) // 2
    zero, one = (op.constant(np.asarray([end], dtype=dtype_of(roi).numpy())) for end in (0, 1))
    start, stop = (op.Slice(roi, op.ints(i), op.ints(i + 1)) for i in (item.index, item.index + count))
    return op.Concat(zero, zero, start, zero, one, one, stop, one, axis=0)


def _factor_differs_from_ratio(node: NodeView, item: _Axis) -> bool:
    """Tell whether a kept aspect ratio makes a factor other than output over input size, which scales must state."""
    if node.attr_text("keep_aspect_ratio_policy", "stretch") == "stretch" or item.factor is None:
        return False
    size, out = dims_of(node.x)[item.axis], dims_of(node.y)[item.axis]
    if not isinstance(size, int) or not isinstance(out, int):
        return False
    if math.isclose(out / size, item.factor, rel_tol=1e-6):
        return False
    if int(np.float32(size) * np.float32(item.factor)) != out:
        raise _refusal(node, f"keeps the aspect ratio by rounding axis {item.axis} up to {out} elements")
    return True


def _refusal(node: NodeView, what: str) -> GradientError:
    return GradientError(f"Resize node {node.name!r} {what}, and there is no derivative for that. {LATER_LAYER}.")
