"""Classification: a target is a class of the image."""

from __future__ import annotations

import numpy as np
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
    pick,
    resolve_ranks,
    targets_first,
)
from camgraph_exporter.targets.draw import Arrays
from camgraph_exporter.targets.interface import AttachedTargets, Interface
from camgraph_exporter.tasks.task import Evidence, Score, Task
from camgraph_exporter.vjp.backward import Backward, OneHotCotangent, dtype_of


class Classification(Task):
    """Scores [N, C], or a single logit z, which counts as the scores (-z, z) of two classes."""

    kind = pb.TASK_CLASSIFICATION

    def claim(self, evidence: Evidence) -> str:
        """Claim what no other task does."""
        return evidence.one_number.note if evidence.one_number is not None else ""

    def read(self, prepared: PreparedModel, value: ir.Value, class_axis: int | None) -> ScoreShape:
        """Read one score for each class."""
        return read_row(value, "one score for each class, [N, C]")

    def attach(self, op: Backward, interface: Interface, score: Score) -> AttachedTargets:
        """Score y_c: the cotangent is one at the target class."""
        target = add_target_input(op, interface)
        dims, dtype = dims_of(score.value), dtype_of(score.value)
        scores = _by_class(op, score.value, score)
        ranked_by = scores if score.ranked_by is None else _by_class(op, score.ranked_by, score, are_probabilities=True)
        index = resolve_ranks(op, ranked_by, target, score.num_classes)
        target_score = pick(op, scores, index)
        by_target = targets_first(op, index)
        seed = class_cotangent(op, by_target, score.shape, dtype)
        if len(dims) > 2 or score.single_logit:
            seed = op.Reshape(seed, op.ints(0, 0, *(int(dim) for dim in dims[1:])))
        else:
            op.one_hots[seed] = OneHotCotangent(by_target)
        return AttachedTargets(seed, add_class_outputs(op, interface, target, index, target_score))

    def lost_seed(self, manifest: pb.Manifest, found: Arrays) -> np.ndarray:
        """Return the one-hot rows [T, N, C]: a linear layer gathers its weights instead of multiplying by them."""
        index = found[manifest.target.target_index_output]
        rows: np.ndarray = np.eye(manifest.head.num_classes)[index.T]
        return rows


def _by_class(op: Backward, value: ir.Value, score: Score, *, are_probabilities: bool = False) -> ir.Value:
    """Return scores or probabilities as [N, C]; of a single one both classes."""
    rows = value if len(dims_of(value)) == 2 else op.Reshape(value, op.ints(-1, score.shape.logits))
    return both_classes(op, rows, axis=1, are_probabilities=are_probabilities) if score.single_logit else rows
