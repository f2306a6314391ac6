"""Segmentation: a target is a class and a mask of pixels (Vinogradova et al. 2020, Seg-Grad-CAM, equation 3)."""

from __future__ import annotations

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.reading.layouts import layout_of
from camgraph_exporter.score.score_shape import ScoreShape, count_of, misfit
from camgraph_exporter.targets.classes import (
    add_class_outputs,
    add_target_input,
    both_classes,
    one_hot,
    resolve_ranks,
)
from camgraph_exporter.targets.interface import AttachedTargets, Interface
from camgraph_exporter.targets.masks import add_mask_input, channels_first
from camgraph_exporter.tasks.dense import DenseTask, sum_under_masks
from camgraph_exporter.tasks.task import Evidence, Score
from camgraph_exporter.vjp.backward import Backward, dtype_of


class Segmentation(DenseTask):
    """Scores of each pixel and class, [N, C, H, W] or [N, H, W, C]; one channel z counts as the classes (-z, z)."""

    kind = pb.TASK_SEGMENTATION

    def claim(self, evidence: Evidence) -> str | None:
        """Claim maps of more than one row or column of scores; of single numbers those that are not a quantity."""
        is_map = len(evidence.dims) == 4 and evidence.num_wide > 1
        if not is_map or evidence.shown.sorted_from is not None:
            return None
        return "" if evidence.per_pixel is None else evidence.per_pixel.note

    def read(self, prepared: PreparedModel, value: ir.Value, class_axis: int | None) -> ScoreShape:
        """Read one score for each class and pixel."""
        dims, last = dims_of(value), layout_of(prepared, value) == pb.LAYER_LAYOUT_CHANNELS_LAST
        axis = class_axis or (3 if last else 1)
        if len(dims) != 4 or not isinstance(dims[axis], int):
            raise misfit(value, "one score for each class and pixel, [N, C, H, W]")
        single = dims[axis] == 1
        return ScoreShape(2 if single else count_of(dims[axis]), axis, single_logit=single)

    def attach(self, op: Backward, interface: Interface, score: Score) -> AttachedTargets:
        """Score: the sum of the class's logits under the mask; an all-zero mask means "where the class wins".

        Rank r is the class with the r-th largest area.
        """
        target = add_target_input(op, interface)
        dims, dtype = dims_of(score.value), dtype_of(score.value)
        last = score.class_axis == 3
        height, width = (dims[1], dims[2]) if last else (dims[2], dims[3])
        mask, asked, any_asked = add_mask_input(op, interface, (height, width))
        logits = channels_first(op, score.value, last=last)
        ranked_by, are_probabilities = logits, score.ranked_by is not None
        if score.ranked_by is not None:
            ranked_by = channels_first(op, score.ranked_by, last=last)
        if score.single_logit:
            ranked_by = both_classes(op, ranked_by, axis=1, are_probabilities=are_probabilities)

        winner = op.ArgMax(ranked_by, axis=1, keepdims=0)
        area = op.sum(one_hot(op, op.Reshape(winner, op.ints(0, -1)), score.num_classes, dtype), [1])
        index = resolve_ranks(op, area, target, score.num_classes)

        wins = op.Equal(op.Unsqueeze(winner, op.ints(1)), op.Unsqueeze(index, op.ints(2, 3)))
        chosen = op.cast(op.Or(asked, op.And(wins, op.Not(any_asked))), dtype)

        seed, sums = sum_under_masks(op, score, logits, index, chosen)
        tensors = add_class_outputs(op, interface, target, index, sums)
        tensors.mask_input = mask
        return AttachedTargets(seed, tensors)
