"""Regression: a target is more or less of the one number that the model gives, or one of its several numbers."""

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
    pick,
    scalar,
    targets_first,
)
from camgraph_exporter.targets.interface import Interface
from camgraph_exporter.vjp.backward import Backward, dtype_of

LABELS = ("less", "more")
"""What the targets 0 and 1 of a single number are."""


def attach_regression(op: Backward, interface: Interface, score: Score) -> Head:
    """Score of a single number y: y for target 1 (more), -y for target 0 (less). Of several it is the number itself.

    Numbers are not ranked. -1 is more and -2 is less; of several numbers -r is the r-th.
    """
    target = add_target_input(op, interface)
    dims, dtype = dims_of(score.value), dtype_of(score.value)
    numbers = op.Reshape(score.value, op.ints(-1, score.logits))
    scores = both_classes(op, numbers, axis=1) if score.single_logit else numbers
    by_order = op.Add(op.Neg(target), scalar(op, -1))
    if score.single_logit:
        by_order = op.Sub(scalar(op, 1), by_order)
    index = op.Where(op.Less(target, scalar(op, 0)), by_order, target)
    index.shape = target.shape
    by_target = targets_first(op, index)
    seed = class_sign(op, by_target, dtype) if score.single_logit else one_hot(op, by_target, score.num_classes, dtype)
    tensors = pb.TargetTensors(
        target_input=str(target.name),
        target_index_output=interface.add_output("target_index", index),
        target_score_output=interface.add_output("target_score", op.cast(pick(op, scores, index), ir.DataType.FLOAT)),
    )
    return Head(op.Reshape(seed, op.ints(0, 0, *(int(dim) for dim in dims[1:]))), tensors)
