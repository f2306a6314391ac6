"""Embedding models: a target is a direction in the embedding space, such as another image's embedding."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.score.score_shape import ScoreShape, misfit
from camgraph_exporter.targets.classes import targets_first
from camgraph_exporter.targets.draw import Arrays, Draw
from camgraph_exporter.targets.interface import AttachedTargets, Interface
from camgraph_exporter.tasks.task import Evidence, Score, Task
from camgraph_exporter.vjp.backward import TARGETS, Backward, dtype_of


class Embedding(Task):
    """A vector [N, D], which only the user can tell from the scores of classes."""

    kind = pb.TASK_EMBEDDING
    has_head = False
    has_classes = False

    def claim(self, evidence: Evidence) -> None:
        """Claim nothing."""

    def read(self, prepared: PreparedModel, value: ir.Value, class_axis: int | None) -> ScoreShape:
        """Read the vector."""
        dims = dims_of(value)
        if len(dims) != 2 or not isinstance(dims[1], int):
            raise misfit(value, "an embedding [N, D]")
        return ScoreShape(dims[1])

    def sizes(self, shape: ScoreShape) -> pb.Head:
        """Return the length of the vector."""
        return pb.Head(embedding_size=shape.num_classes)

    def extent(self, head: pb.Head) -> str:
        """Return how many dimensions the space has."""
        return f"{head.embedding_size} dimensions"

    def attach(self, op: Backward, interface: Interface, score: Score) -> AttachedTargets:
        """Score: the inner product of the embedding with the input `cotangent` float32 [N, T, D]."""
        cotangent = interface.add_input("cotangent", ir.DataType.FLOAT, [interface.batch, TARGETS, score.num_classes])
        op.count_targets_by(cotangent, axis=1)
        seed = targets_first(op, op.cast(cotangent, dtype_of(score.value)))
        sums = op.sum(op.Mul(seed, score.value), [2])
        target_score = op.cast(targets_first(op, sums), ir.DataType.FLOAT)
        tensors = pb.TargetTensors(
            cotangent_input=str(cotangent.name),
            target_score_output=interface.add_output("target_score", target_score),
            embedding_output=_output(op, interface, score),
        )
        return AttachedTargets(seed, tensors)

    def draw(self, draw: Draw) -> Arrays:
        """Draw directions."""
        size = (*draw.shape, draw.head.embedding_size)
        return {draw.names.cotangent_input: draw.rng.standard_normal(size, dtype=np.float32)}


def _output(op: Backward, interface: Interface, score: Score) -> str:
    """Return the name of the output with the embedding, which is made unless the source has one of float32."""
    if score.value in interface.source_outputs and score.value.dtype == ir.DataType.FLOAT:
        return score.name
    return interface.add_output("embedding", op.cast(score.value, ir.DataType.FLOAT))
