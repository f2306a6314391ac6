"""Segmentation: a target is a class and a mask of pixels (Vinogradova et al. 2020, Seg-Grad-CAM, equation 3)."""

from __future__ import annotations

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.choose.score import Score
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.targets.head import (
    Head,
    add_target_input,
    both_classes,
    class_sign,
    one_hot,
    resolve_ranks,
    targets_first,
)
from camgraph_exporter.targets.interface import Interface
from camgraph_exporter.vjp.backward import TARGETS, Backward, dtype_of


def attach_segmentation(op: Backward, interface: Interface, score: Score) -> Head:
    """Score: the sum of the class's logits under the mask; an all-zero mask means "where the class wins".

    Rank r is the class with the r-th largest area. One channel of logits z counts as the classes (-z, z).
    """
    target = add_target_input(op, interface)
    dims, dtype = dims_of(score.value), dtype_of(score.value)
    last = score.class_axis == 3
    height, width = (dims[1], dims[2]) if last else (dims[2], dims[3])
    mask = interface.add_input("mask", ir.DataType.UINT8, [interface.batch, TARGETS, height, width])
    logits = _channels_first(op, score.value, last=last)
    ranked_by, are_probabilities = logits, score.ranked_by is not None
    if score.ranked_by is not None:
        ranked_by = _channels_first(op, score.ranked_by, last=last)
    if score.single_logit:
        ranked_by = both_classes(op, ranked_by, axis=1, are_probabilities=are_probabilities)

    winner = op.ArgMax(ranked_by, axis=1, keepdims=0)
    area = op.sum(one_hot(op, op.Reshape(winner, op.ints(0, -1)), score.num_classes, dtype), [1])
    index = resolve_ranks(op, area, target, score.num_classes)

    wins = op.Equal(op.Unsqueeze(winner, op.ints(1)), op.Unsqueeze(index, op.ints(2, 3)))
    asked = op.Greater(op.Cast(mask, to=int(ir.DataType.INT32)), 0)
    any_asked = op.Greater(
        op.reduce("ReduceMax", op.Cast(mask, to=int(ir.DataType.INT32)), [2, 3], keepdims=True),
        0,
    )
    chosen = op.cast(op.Or(asked, op.And(wins, op.Not(any_asked))), dtype)

    by_target = targets_first(op, index)
    under_mask = op.Unsqueeze(targets_first(op, chosen), op.ints(2))
    if score.single_logit:
        seed = op.Mul(under_mask, op.Unsqueeze(class_sign(op, by_target, dtype), op.ints(2, 3, 4)))
    else:
        classes = one_hot(op, by_target, score.num_classes, dtype)
        seed = op.Mul(under_mask, op.Unsqueeze(classes, op.ints(3, 4)))
    sums = op.sum(op.Mul(seed, logits), [2, 3, 4])
    seed = op.Transpose(seed, perm=[0, 1, 3, 4, 2]) if last else seed
    tensors = pb.TargetTensors(
        target_input=str(target.name),
        mask_input=str(mask.name),
        target_index_output=interface.add_output("target_index", index),
        target_score_output=interface.add_output("target_score", op.cast(targets_first(op, sums), ir.DataType.FLOAT)),
    )
    return Head(seed, tensors)


def _channels_first(op: Backward, value: ir.Value, *, last: bool) -> ir.Value:
    return op.Transpose(value, perm=[0, 3, 1, 2]) if last else value
