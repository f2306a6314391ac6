"""Targets that are classes: the input that names them, their ranks, and one-hot rows."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.score.score_shape import ScoreShape
from camgraph_exporter.targets.interface import Interface
from camgraph_exporter.vjp.backward import TARGETS, Backward


def add_target_input(op: Backward, interface: Interface) -> ir.Value:
    """Add the input `target` int64 [N, T], and let it say how many targets there are."""
    target = interface.add_input("target", ir.DataType.INT64, [interface.batch, TARGETS])
    op.count_targets_by(target, axis=1)
    return target


def add_class_outputs(
    op: Backward, interface: Interface, target: ir.Value, index: ir.Value, score: ir.Value
) -> pb.TargetTensors:
    """Add the outputs [N, T] that say which class each target is, and its score; name them beside the input."""
    return pb.TargetTensors(
        target_input=str(target.name),
        target_index_output=interface.add_output("target_index", index),
        target_score_output=interface.add_output("target_score", op.cast(score, ir.DataType.FLOAT)),
    )


def resolve_ranks(op: Backward, scores: ir.Value, target: ir.Value, size: int | ir.Value) -> ir.Value:
    """Turn -r into the index of rank r along the last axis of `scores`.

    scores: [N, C]; target: int64 [N, T]; size: C. A rank beyond C is more than TopK can give, an error at run time.
    """
    zero = scalar(op, 0)
    rank = op.Max(op.Neg(target), zero)
    # Compilers that plan memory ahead want to know how many ranks there are: the portable form sorts all.
    count = op.ints(size) if op.portable and isinstance(size, int) else _highest(op, rank)
    ranked = op.emit("TopK", (scores, count), {"axis": -1}, outputs=2)[1]
    by_rank = pick(op, ranked, op.Max(op.Sub(rank, scalar(op, 1)), zero))
    return op.Where(op.Less(target, zero), by_rank, target)


def in_own_order(op: Backward, target: ir.Value, *, single: bool) -> ir.Value:
    """Turn -r into the r-th of several numbers, which are not ranked; of a single one -1 is 1 (more), and -2 is 0."""
    by_order = op.Add(op.Neg(target), scalar(op, -1))
    if single:
        by_order = op.Sub(scalar(op, 1), by_order)
    index = op.Where(op.Less(target, scalar(op, 0)), by_order, target)
    index.shape = target.shape
    return index


def _highest(op: Backward, rank: ir.Value) -> ir.Value:
    """Return the highest of the ranks [N, T] as int64 [1], at least 1: there may be no target, or none by rank."""
    one_more = op.Concat(op.Reshape(rank, op.ints(-1)), op.ints(1), axis=0)
    return op.reduce("ReduceMax", one_more, [0], keepdims=True)


def pick(op: Backward, values: ir.Value, index: ir.Value, *, batch_dims: int = 1) -> ir.Value:
    """Return `values` at `index` along the axis after the first `batch_dims`, which both have.

    GatherND, as the GatherElements of ONNX's reference evaluator fails beyond a few dozen places.
    """
    return op.GatherND(values, op.Unsqueeze(index, op.ints(-1)), batch_dims=batch_dims)


def one_hot(op: Backward, index: ir.Value, size: int, dtype: ir.DataType) -> ir.Value:
    """Return ones at `index` [...] along a new last axis: [..., size]."""
    return op.cast(op.OneHot(index, scalar(op, size), op.constant(np.array([0, 1], dtype=np.float32))), dtype)


def class_sign(op: Backward, index: ir.Value, dtype: ir.DataType) -> ir.Value:
    """Return +1 for class 1 and -1 for class 0: the derivative of a class's score by the single logit."""
    return op.cast(op.Sub(op.Mul(index, scalar(op, 2)), scalar(op, 1)), dtype)


def class_cotangent(op: Backward, index: ir.Value, shape: ScoreShape, dtype: ir.DataType) -> ir.Value:
    """Return the cotangent of the score of the class at `index` [...]: [..., C], or [...] of a single logit."""
    if shape.single_logit:
        return class_sign(op, index, dtype)
    return one_hot(op, index, shape.num_classes, dtype)


def both_classes(op: Backward, value: ir.Value, *, axis: int, are_probabilities: bool = False) -> ir.Value:
    """Return the scores (-z, z) of the two classes of a single logit z; of a probability p it is (1 - p, p)."""
    return op.Concat(op.Sub(1.0, value) if are_probabilities else op.Neg(value), value, axis=axis)


def scalar(op: Backward, number: int) -> ir.Value:
    """Return an int64 scalar."""
    return op.constant(np.asarray(number, dtype=np.int64))


def targets_first(op: Backward, x: ir.Value) -> ir.Value:
    """Swap [N, T, ...] to [T, N, ...]."""
    assert x.shape is not None
    return op.Transpose(x, perm=[1, 0, *range(2, len(x.shape))])
