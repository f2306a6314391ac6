"""Matrix products."""

from __future__ import annotations

import onnx_ir as ir

from camgraph_exporter.graph.dims import Dims, dims_of
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.registry import Cotangents, vjp


@vjp("Gemm")
def gemm(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Y = alpha A' B' + beta C: dA' = alpha g B'^T, dB' = alpha A'^T g, dC = beta g."""
    a, b = node.input(0), node.input(1)
    trans_a, trans_b = node.attr_flag("transA"), node.attr_flag("transB")
    alpha, beta = node.attr_float("alpha", 1.0), node.attr_float("beta", 1.0)
    da = db = dc = None
    if node.needs(0):
        da = _rows(op, g, b, class_axis=0 if trans_b else 1)
        if da is None:
            full = op.full(g, node.y, [1])
            da = op.MatMul(full, b if trans_b else transposed(op, b))
        da = transposed(op, da) if trans_a else da
        da = op.Mul(da, alpha) if alpha != 1 else da
    if node.needs(1):
        full = op.full(g, node.y)
        db = op.MatMul(a if trans_a else transposed(op, a), full)
        db = transposed(op, db) if trans_b else db
        db = op.Mul(db, alpha) if alpha != 1 else db
    if node.needs(2):
        dc = op.unbroadcast(op.Mul(g, beta) if beta != 1 else g, node.y, node.input(2))
    return da, db, dc


@vjp("MatMul")
def matmul(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """DA = g B^T, dB = A^T g, summed over broadcast batch axes; a vector operand is a matrix with one row or column."""
    a, b, y = node.input(0), node.input(1), node.y
    row, column = len(dims_of(a)) == 1, len(dims_of(b)) == 1
    batch = dims_of(y)[: len(dims_of(y)) - (not row) - (not column)]
    da = db = None
    if node.needs(0):
        da = _rows(op, g, b, class_axis=1) if len(dims_of(a)) == len(dims_of(b)) == 2 else None
        if da is None:
            full = _as_matrices(op, g if column else op.full(g, y, [-1]), row, column)
            da = op.MatMul(full, op.Unsqueeze(b, op.ints(0)) if column else transposed(op, b))
            da = _without_batch(op, da, batch, _batch_of(a))
            da = op.Squeeze(da, op.ints(1)) if row else da
    if node.needs(1):
        full = _as_matrices(op, op.full(g, y, range(len(batch), len(dims_of(y)))), row, column)
        db = op.MatMul(op.Unsqueeze(a, op.ints(1)) if row else transposed(op, a), full)
        db = _without_batch(op, db, batch, _batch_of(b))
        db = op.Squeeze(db, op.ints(2)) if column else db
    return da, db


@vjp("Trilu")
def trilu(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Dx = the same triangle of g."""
    return op.Trilu(op.full(g, node.y, [-2, -1]), node.optional(1), upper=node.attr_int("upper", 1))


def transposed(op: Backward, x: ir.Value) -> ir.Value:
    """Swap the last two axes."""
    rank = len(dims_of(x))
    return op.Transpose(x, perm=[*range(rank - 2), rank - 1, rank - 2])


def _rows(op: Backward, g: ir.Value, weights: ir.Value, *, class_axis: int) -> ir.Value | None:
    """Gather the weights of the target classes instead of multiplying them by a one-hot vector; [T, N, features]."""
    one_hot = op.one_hots.get(g)
    if one_hot is None:
        return None
    rows = weights if class_axis == 0 else transposed(op, weights)
    return op.Gather(rows, one_hot.index, axis=0)


def _as_matrices(op: Backward, g: ir.Value, row: bool, column: bool) -> ir.Value:
    """Give the cotangent of a product back the axis of size 1 that a vector operand takes away."""
    g = op.Unsqueeze(g, op.ints(-1)) if column else g
    return op.Unsqueeze(g, op.ints(-2)) if row else g


def _batch_of(x: ir.Value) -> Dims:
    return dims_of(x)[:-2]


def _without_batch(op: Backward, g: ir.Value, batch: Dims, want: Dims) -> ir.Value:
    """Sum the cotangent of a matrix operand over the batch axes along which the operand was broadcast.

    It is not un-expanded there: the other operand, with which it was multiplied, has them.
    """
    extra = len(batch) - len(want)
    axes = [i for i in range(len(batch)) if i < extra or (want[i - extra] == 1 and batch[i] != 1)]
    have = dims_of(g)[1:]
    g = op.sum(g, [axis + 1 for axis in axes if have[axis] != 1], keepdims=True)
    return op.Squeeze(g, op.ints(*range(1, extra + 1))) if extra else g
