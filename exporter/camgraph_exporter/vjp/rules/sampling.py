"""Sampling at computed places (Jaderberg et al., Spatial Transformer Networks, section 3.3)."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from camgraph_exporter.errors import LATER_LAYER, GradientError
from camgraph_exporter.graph.dims import Dim, dims_of
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.axes import identity_matrix, reshape_to, sizes_of, slice_axis
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.registry import Cotangents, vjp

# GridSample's names of its filters before opset 20 and since.
_LINEAR = {"bilinear", "linear"}


@vjp("GridSample")
def grid_sample(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g times the sampling weights; dgrid = the sum over channels of g times the slope of x there."""
    g = op.full(g, node.y)
    dx = _through_input(op, node, g) if node.needs(0) else None
    dgrid = _through_grid(op, node, g) if node.needs(1) else None
    return dx, dgrid


def _through_input(op: Backward, node: NodeView, g: ir.Value) -> ir.Value:
    """Multiply by the weights that every output takes from every input element: [N, places, elements].

    A filter is the product of one filter an axis, so the weights are products of one matrix an axis.
    """
    x, places = node.x, _axis_size(node.y)
    weights: ir.Value | None = None
    elements: Dim = 1
    for axis in range(2, node.rank):
        along = _axis_weights(op, node, axis)
        if weights is None:
            weights, elements = along, dims_of(x)[axis]
            continue
        product = op.Mul(op.Unsqueeze(weights, op.ints(3)), op.Unsqueeze(along, op.ints(2)))
        elements = _times(elements, dims_of(x)[axis])
        weights = reshape_to(op, product, [op.ints(0, 0, -1)], (dims_of(x)[0], places, elements))
    assert weights is not None
    rows = reshape_to(op, g, [op.ints(0, 0, 0, -1)], (*dims_of(g)[:3], places))
    return op.shaped(op.MatMul(rows, weights), x)


def _axis_weights(op: Backward, node: NodeView, axis: int) -> ir.Value:
    """Return what every output takes from the elements along one axis: [N, places, size].

    They are read off the operator itself, by sampling a unit matrix that has this axis only. Its other axis has one
    element, at whose centre the grid points, so every filter and padding mode does what it does in the forward part.
    """
    x, grid = node.x, node.input(1)
    size, batch = op.size_vector(x, axis), op.size_vector(x, 0)
    unit = op.Unsqueeze(identity_matrix(op, size, grid), op.ints(0, 2))
    units = op.Expand(unit, op.join([batch, size, op.ints(1), size]))
    coordinate = _coordinate(op, grid, _grid_place(node, axis))
    line = reshape_to(op, coordinate, [op.ints(0, 1, -1, 1)], (dims_of(grid)[0], 1, _axis_size(node.y), 1))
    sampled = op.GridSample(units, op.pad_axis(line, 3, op.ints(0), op.ints(1)), **_attributes(node))
    return op.Transpose(op.Squeeze(sampled, op.ints(2)), perm=[0, 2, 1])


def _through_grid(op: Backward, node: NodeView, g: ir.Value) -> ir.Value:
    """The slope of a linear filter is the difference between the two neighbours on an axis.

    Both are sampled by the operator itself, at the whole pixels before and after: padding then does what it does in
    the forward part. The result is [T, N, *places, axes], x first.
    """
    if node.attr_text("mode", "linear") not in _LINEAR:
        raise GradientError(
            f"The grid of GridSample node {node.name!r} depends on the target layer, and there is a derivative for "
            f"linear sampling only, not for {node.attr_text('mode')!r}. {LATER_LAYER}."
        )
    slopes = []
    for axis in range(node.rank - 1, 1, -1):
        slope = op.Mul(_difference(op, node, axis), _pixels_per_unit(op, node, axis))
        slopes.append(op.Unsqueeze(op.sum(op.Mul(g, slope), [2]), op.ints(-1)))
    return op.Concat(*slopes, axis=-1)


def _difference(op: Backward, node: NodeView, axis: int) -> ir.Value:
    """Sample one pixel apart around every place: x at the pixel after minus x at the pixel before, [N, C, *places]."""
    grid, place = node.input(1), _grid_place(node, axis)
    scale = _pixels_per_unit(op, node, axis)
    coordinate = _coordinate(op, grid, place)
    # grid + 1 counts from the left edge; its pixels start half a pixel further unless corners are aligned.
    offset = 0.0 if node.attr_flag("align_corners") else 0.5
    pixel = op.Floor(op.Sub(op.Mul(op.Add(coordinate, 1), scale), offset))
    samples = []
    for step in (1.0, 0.0):
        moved = op.Sub(op.Div(op.Add(pixel, offset + step), scale), 1)
        columns = [moved if i == place else _coordinate(op, grid, i) for i in range(node.rank - 2)]
        samples.append(op.GridSample(node.x, op.Concat(*columns, axis=-1), **_attributes(node)))
    return op.Sub(*samples)


def _pixels_per_unit(op: Backward, node: NodeView, axis: int) -> ir.Value | float:
    """The grid goes from -1 to 1: from centre to centre of the corners if they are aligned, else from edge to edge."""
    size = op.number(op.size_of(node.x, [axis]), node.input(1))
    covered = op.Sub(size, 1) if isinstance(size, ir.Value) else size - 1
    size = covered if node.attr_flag("align_corners") else size
    return op.Div(size, 2) if isinstance(size, ir.Value) else size / 2


def _coordinate(op: Backward, grid: ir.Value, place: int) -> ir.Value:
    """Return one coordinate of the grid, its axis kept."""
    return slice_axis(op, grid, len(dims_of(grid)) - 1, op.ints(place), op.ints(place + 1))


def _grid_place(node: NodeView, axis: int) -> int:
    """The grid counts axes from the last: x first."""
    return node.rank - 1 - axis


def _axis_size(y: ir.Value) -> Dim:
    size: Dim = 1
    for dim in dims_of(y)[2:]:
        size = _times(size, dim)
    return size


def _times(a: Dim, b: Dim) -> Dim:
    return a * b if isinstance(a, int) and isinstance(b, int) else f"{a}*{b}"


def _attributes(node: NodeView) -> dict[str, Any]:
    return {name: node.attr(name) for name in ("mode", "padding_mode", "align_corners")}


@vjp("AffineGrid", opset=20)
def affine_grid(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Y = [place, 1] theta^T at every place, so dtheta = the sum over places of g times [place, 1]."""
    theta, axes = node.x, dims_of(node.y)[-1]
    assert isinstance(axes, int)
    rank = len(dims_of(node.y))
    unit = op.Unsqueeze(op.pad_axis(identity_matrix(op, op.ints(axes), g), 1, op.ints(0), op.ints(1)), op.ints(0))
    sizes = op.join([op.ints(1, 1), *sizes_of(op, node.y, range(1, rank - 1))])
    places = op.AffineGrid(unit, sizes, align_corners=node.attr("align_corners"))
    flat = reshape_to(op, places, [op.ints(-1, axes)], ("places", axes))
    rows = reshape_to(op, op.full(g, node.y), [op.ints(0, 0, -1, axes)], (*dims_of(g)[:2], "places", axes))
    columns = op.Transpose(rows, perm=[0, 1, 3, 2])
    linear, shift = op.MatMul(columns, flat), op.sum(columns, [3], keepdims=True)
    return op.shaped(op.Concat(linear, shift, axis=3), theta)
