"""Matrix products."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.registry import Cotangents, vjp


@vjp("Gemm")
def gemm(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """y = alpha A' B' + beta C: dA' = alpha g B'^T, dB' = alpha A'^T g, dC = beta g."""
    a, b = node.input(0), node.input(1)
    trans_a, trans_b = bool(node.attr("transA", 0)), bool(node.attr("transB", 0))
    alpha, beta = float(node.attr("alpha", 1.0)), float(node.attr("beta", 1.0))
    da = db = dc = None
    if node.needs(0):
        da = _rows(op, g, b, class_axis=0 if trans_b else 1)
        if da is None:
            full = op.full(g, node.y, [1])
            da = op.MatMul(full, b if trans_b else transposed(op, b))
        da = transposed(op, op.full(da, a, [1])) if trans_a else da
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
    """dA = g B^T, dB = A^T g, summed over broadcast batch axes; a vector operand is a matrix with one row or column."""
    a, b = node.input(0), node.input(1)
    rank_a, rank_b = len(dims_of(a)), len(dims_of(b))
    if rank_a == 1 or rank_b == 1:
        return _matmul_of_vectors(op, node, g)
    da = db = None
    if node.needs(0):
        da = _rows(op, g, b, class_axis=1) if rank_a == rank_b == 2 else None
        if da is None:
            da = op.MatMul(op.full(g, node.y, [-1]), transposed(op, b))
            da = _unbatch(op, da, node.y, a)
    if node.needs(1):
        db = _unbatch(op, op.MatMul(transposed(op, a), op.full(g, node.y, [-2, -1])), node.y, b)
    return da, db


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


def _unbatch(op: Backward, g: ir.Value, y: ir.Value, x: ir.Value) -> ir.Value:
    """Sum the cotangent of a matrix operand over the batch axes along which the operand was broadcast."""
    batch_y, batch_x = dims_of(y)[:-2], dims_of(x)[:-2]
    extra = len(batch_y) - len(batch_x)
    axes = [i for i in range(len(batch_y)) if i < extra or (batch_x[i - extra] == 1 and batch_y[i] != 1)]
    g = _sum_batch(op, g, y, axes)
    return op.Squeeze(g, op.ints(*range(1, extra + 1))) if extra else g


def _sum_batch(op: Backward, g: ir.Value, y: ir.Value, axes: Sequence[int]) -> ir.Value:
    have, want = dims_of(g)[1:], dims_of(y)
    lazy = [axis for axis in axes if have[axis] == 1 and want[axis] != 1]
    g = op.sum(g, [axis + 1 for axis in axes if have[axis] != 1], keepdims=True)
    return op.Mul(g, op.number(op.size_of(y, lazy), g)) if lazy else g


def _matmul_of_vectors(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """Give vectors their missing axis, differentiate as matrices, and drop the axis again."""
    a, b = node.input(0), node.input(1)
    g = op.full(g, node.y)
    a2 = op.Unsqueeze(a, op.ints(0)) if len(dims_of(a)) == 1 else a
    b2 = op.Unsqueeze(b, op.ints(1)) if len(dims_of(b)) == 1 else b
    y2 = op.MatMul(a2, b2)
    g2 = op.shaped(g, y2)
    da = _unbatch(op, op.MatMul(g2, transposed(op, b2)), y2, a2) if node.needs(0) else None
    db = _unbatch(op, op.MatMul(transposed(op, a2), g2), y2, b2) if node.needs(1) else None
    return op.shaped(da, a) if da is not None else None, op.shaped(db, b) if db is not None else None
