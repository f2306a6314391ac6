"""Regression: a target is more or less of the one number that the model gives, or one of its several numbers."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.score.score_shape import ScoreShape, read_row
from camgraph_exporter.targets.classes import (
    add_class_outputs,
    add_target_input,
    both_classes,
    class_cotangent,
    in_own_order,
    pick,
    targets_first,
)
from camgraph_exporter.targets.interface import AttachedTargets, Interface
from camgraph_exporter.tasks.task import Evidence, Score, Task
from camgraph_exporter.vjp.backward import Backward, dtype_of


class Regression(Task):
    """One number [N, 1] or several [N, K], which are neither scores of classes nor ranked."""

    kind = pb.TASK_REGRESSION
    has_head = False
    has_classes = False

    def claim(self, evidence: Evidence) -> str | None:
        """Claim a single number that is a quantity, and rows of numbers that are known to be."""
        if evidence.shown.is_quantity and evidence.num_wide <= 1:
            return ""
        number = evidence.one_number
        return number.note if number is not None and number.is_quantity else None

    def read(self, prepared: PreparedModel, value: ir.Value, class_axis: int | None) -> ScoreShape:
        """Read the numbers; of a single one there are two targets, more and less."""
        return read_row(value, "one number for each image, [N, 1], or several, [N, K]")

    def extent(self, head: pb.Head) -> str:
        """Return how many numbers there are."""
        return "one number" if head.single_logit else f"{head.num_classes} numbers"

    def own_labels(self, score: Score) -> Sequence[str]:
        """Return the words for the targets 0 and 1 of a single number."""
        return ("less", "more") if score.single_logit else ()

    def attach(self, op: Backward, interface: Interface, score: Score) -> AttachedTargets:
        """Score of a single number y: y for target 1 (more), -y for target 0 (less); of several numbers the one itself.

        Numbers are not ranked. -1 is more and -2 is less; of several numbers -r is the r-th.
        """
        target = add_target_input(op, interface)
        dims, dtype = dims_of(score.value), dtype_of(score.value)
        numbers = op.Reshape(score.value, op.ints(-1, score.shape.logits))
        scores = both_classes(op, numbers, axis=1) if score.single_logit else numbers
        index = in_own_order(op, target, single=score.single_logit)
        seed = class_cotangent(op, targets_first(op, index), score.shape, dtype)
        tensors = add_class_outputs(op, interface, target, index, pick(op, scores, index))
        return AttachedTargets(op.Reshape(seed, op.ints(0, 0, *(int(dim) for dim in dims[1:]))), tensors)
