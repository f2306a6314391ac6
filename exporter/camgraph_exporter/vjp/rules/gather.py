"""Operators that pick elements by index. Their gradients put elements back, adding up those that were picked twice."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_ir as ir

from camgraph_exporter.errors import LATER_LAYER, GradientError
from camgraph_exporter.graph.dims import dims_of, static
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.axes import multiply_axis, one_hot_rows, reshape_to, sizes_of
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.registry import Cotangents, vjp
from camgraph_exporter.vjp.scatter import add_elements, add_slices

# Elements of the matrix that adds up repeated constant indices, above which it is made at run time instead of stored.
_MATRIX_LIMIT = 1 << 16


@vjp("Gather")
def gather(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g put back at the indices; a pad, a gather or a product with a one-hot matrix, never a scatter."""
    x, indices = node.x, node.input(1)
    axis, count = node.attr_int("axis", 0) % node.rank, len(dims_of(indices))
    g = op.full(g, node.y, range(axis, axis + count))
    if count == 0:
        g = op.Unsqueeze(g, op.ints(axis + 1))
    elif count > 1:
        dims, after = dims_of(g), range(axis + 1 + count, len(dims_of(g)))
        sizes = [
            op.ints(*[0] * (axis + 1)),
            op.size_vector(op.Reshape(indices, op.ints(-1)), 0),
            *sizes_of(op, g, after),
        ]
        picked = static(dims_of(indices))
        length = math.prod(picked) if picked is not None else "indices"
        g = reshape_to(op, g, sizes, (*dims[: axis + 1], length, *dims[axis + 1 + count :]))
    known = node.const(1)
    if known is not None:
        return _put_back(op, g, x, axis, known.reshape(-1))
    flat = op.Reshape(op.cast(indices, ir.DataType.INT64), op.ints(-1))
    return multiply_axis(op, g, one_hot_rows(op, flat, op.size_vector(x, axis), g), axis + 1)


@vjp("Compress")
def compress(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g put back where the (constant) condition holds."""
    condition = node.const(1)
    if condition is None:
        raise GradientError(
            f"Compress node {node.name!r} has a condition that depends on the image, and there is no derivative for "
            f"that. {LATER_LAYER}."
        )
    indices = np.flatnonzero(condition)
    if node.attr("axis") is not None:
        axis = node.attr_int("axis") % node.rank
        return _put_back(op, op.full(g, node.y, [axis]), node.x, axis, indices)
    flat = op.Reshape(node.x, op.ints(-1))
    return op.shaped(_put_back(op, op.full(g, node.y), flat, 0, indices), node.x)


def _put_back(op: Backward, g: ir.Value, x: ir.Value, axis: int, indices: np.ndarray[Any, Any]) -> ir.Value:
    """Put the elements of `g`, taken from an axis of `x` at constant indices, back at their places."""
    indices = indices.astype(np.int64)
    size, place = dims_of(x)[axis], axis + 1
    if isinstance(size, int):
        indices = np.where(indices < 0, indices + size, indices)
    same_sign = (indices >= 0).all() or (indices < 0).all()
    if len(indices) and same_sign and (np.diff(indices) == 1).all():
        return _pad_run(op, g, x, axis, indices)
    if isinstance(size, int) and len(np.unique(indices)) == len(indices):
        return _gather_back(op, g, place, indices, size)
    if isinstance(size, int) and size * len(indices) <= _MATRIX_LIMIT:
        assert g.dtype is not None
        matrix = op.constant(np.eye(size, dtype=g.dtype.numpy())[indices])
    else:
        matrix = one_hot_rows(op, op.constant(indices), op.size_vector(x, axis), g)
    return multiply_axis(op, g, matrix, place)


def _pad_run(op: Backward, g: ir.Value, x: ir.Value, axis: int, indices: np.ndarray[Any, Any]) -> ir.Value:
    """Neighbours in their order: zeros before and after."""
    size, first = op.size_vector(x, axis), op.ints(int(indices[0]))
    start = first if indices[0] >= 0 else op.Add(size, first)
    return op.pad_axis(g, axis + 1, start, op.Sub(size, op.Add(start, op.ints(len(indices)))))


def _gather_back(op: Backward, g: ir.Value, place: int, indices: np.ndarray[Any, Any], size: int) -> ir.Value:
    """No element twice: each place gathers its own element, or the zero that is put after them."""
    table = np.full(size, len(indices), dtype=np.int64)
    table[indices] = np.arange(len(indices))
    if len(indices) < size:
        g = op.pad_axis(g, place, op.ints(0), op.ints(1))
    return op.Gather(g, op.constant(table), axis=place)


@vjp("GatherElements", opset=16)
def gather_elements(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g added up at the indices, which differ from place to place."""
    return add_elements(op, op.full(g, node.y), node.input(1), node.x, node.attr_int("axis", 0) % node.rank)


@vjp("GatherND", opset=16)
def gather_nd(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = g added up at the index tuples."""
    return add_slices(op, op.full(g, node.y), node.input(1), node.x, node.attr_int("batch_dims", 0))
