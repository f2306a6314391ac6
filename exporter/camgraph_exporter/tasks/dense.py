"""What tasks share whose targets are pixels of a map, which a mask names."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.layers.auto import deepest_map
from camgraph_exporter.layers.layers import TargetLayer
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.targets.classes import class_sign, one_hot, targets_first
from camgraph_exporter.targets.draw import Arrays, Draw
from camgraph_exporter.targets.masks import draw_masks, place_of_scores
from camgraph_exporter.tasks.task import Score, Task
from camgraph_exporter.vjp.backward import Backward, dtype_of


class DenseTask(Task, ABC):
    """A task whose targets are pixels of a map."""

    is_dense = True

    def best_layer(self, prepared: PreparedModel, score: Score, layers: Sequence[TargetLayer]) -> TargetLayer:
        """Return the deepest map of the network, after which the maps only grow."""
        return deepest_map(prepared, score.value, layers, layers)

    def place(self, prepared: PreparedModel, score: Score) -> tuple[pb.TargetTensors, str]:
        """Return where the map lies that a mask marks, and how large it is."""
        return place_of_scores(prepared, score.value, last=score.class_axis == 3)

    def draw(self, draw: Draw) -> Arrays:
        """Draw classes, and masks on their map."""
        return super().draw(draw) | draw_masks(draw)


def sum_under_masks(
    op: Backward, score: Score, values: ir.Value, index: ir.Value, chosen: ir.Value
) -> tuple[ir.Value, ir.Value]:
    """Sum the values of each target's class where its pixels are.

    Args:
        op: Appends the nodes.
        score: The tensor of scores.
        values: The scores as [N, C, H, W]; of a single one as [N, 1, H, W], which counts as (-z, z).
        index: The class of each target, int64 [N, T].
        chosen: 1 for the pixels of each target, 0 for others, [N, T, H, W].

    Returns:
        The cotangent [T, *score] of the sums, and the sums [N, T].

    """
    by_target = targets_first(op, index)
    under_mask = op.Unsqueeze(targets_first(op, chosen), op.ints(2))
    dtype = dtype_of(score.value)
    if score.single_logit:
        seed = op.Mul(under_mask, op.Unsqueeze(class_sign(op, by_target, dtype), op.ints(2, 3, 4)))
    else:
        rows = one_hot(op, by_target, score.num_classes, dtype)
        seed = op.Mul(under_mask, op.Unsqueeze(rows, op.ints(3, 4)))
    sums = op.sum(op.Mul(seed, values), [2, 3, 4])
    seed = op.Transpose(seed, perm=[0, 1, 3, 4, 2]) if score.class_axis == 3 else seed
    return seed, targets_first(op, sums)
