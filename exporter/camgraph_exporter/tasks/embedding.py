"""Embedding models: a target is a direction in the embedding space, such as another image's embedding."""

from __future__ import annotations

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.choose.score import Score
from camgraph_exporter.targets.head import Head, targets_first
from camgraph_exporter.targets.interface import Interface
from camgraph_exporter.vjp.backward import TARGETS, Backward, dtype_of


def attach_embedding(op: Backward, interface: Interface, score: Score) -> Head:
    """Score: the inner product of the embedding with the input `cotangent` float32 [N, T, D]."""
    cotangent = interface.add_input("cotangent", ir.DataType.FLOAT, [interface.batch, TARGETS, score.num_classes])
    op.count_targets_by(cotangent, axis=1)
    seed = targets_first(op, op.cast(cotangent, dtype_of(score.value)))
    sums = op.sum(op.Mul(seed, score.value), [2])
    tensors = pb.TargetTensors(
        cotangent_input=str(cotangent.name),
        target_score_output=interface.add_output("target_score", op.cast(targets_first(op, sums), ir.DataType.FLOAT)),
    )
    return Head(seed, tensors)
