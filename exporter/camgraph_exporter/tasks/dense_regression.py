"""Dense regression: a target is more or less of the number that each pixel has, such as its depth, under a mask."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.reading.layouts import layout_of
from camgraph_exporter.score.score_shape import ScoreShape, count_of, misfit
from camgraph_exporter.targets.classes import add_class_outputs, add_target_input, in_own_order
from camgraph_exporter.targets.interface import AttachedTargets, Interface
from camgraph_exporter.targets.masks import add_mask_input, channels_first
from camgraph_exporter.tasks.dense import DenseTask, sum_under_masks
from camgraph_exporter.tasks.task import Evidence, Score
from camgraph_exporter.vjp.backward import Backward, dtype_of


class DenseRegression(DenseTask):
    """One number for each pixel, [N, 1, H, W], [N, H, W, 1] or [N, H, W], or several, which are not ranked."""

    kind = pb.TASK_DENSE_REGRESSION
    has_head = False
    has_classes = False

    def claim(self, evidence: Evidence) -> str | None:
        """Claim a single number per pixel that is a quantity."""
        number = evidence.per_pixel
        return number.note if number is not None and number.is_quantity else None

    def read(self, prepared: PreparedModel, value: ir.Value, class_axis: int | None) -> ScoreShape:
        """Read the numbers of each pixel; of a single one there are two targets, more and less."""
        dims = dims_of(value)
        if len(dims) == 3:
            return ScoreShape(2, 3, single_logit=True)
        last = layout_of(prepared, value) == pb.LAYER_LAYOUT_CHANNELS_LAST
        axis = class_axis or (3 if last else 1)
        if len(dims) != 4 or not isinstance(dims[axis], int):
            raise misfit(value, "one number for each pixel, [N, 1, H, W] or [N, H, W], or several, [N, K, H, W]")
        single = dims[axis] == 1
        return ScoreShape(2 if single else count_of(dims[axis]), axis, single_logit=single)

    def extent(self, head: pb.Head) -> str:
        """Return how many numbers there are."""
        return "one number per pixel" if head.single_logit else f"{head.num_classes} numbers per pixel"

    def own_labels(self, score: Score) -> Sequence[str]:
        """Return the words for the targets 0 and 1 of a single number."""
        return ("less", "more") if score.single_logit else ()

    def attach(self, op: Backward, interface: Interface, score: Score) -> AttachedTargets:
        """Score: the sum of the number under the mask, negated for "less"; an all-zero mask means everywhere."""
        target = add_target_input(op, interface)
        dims, dtype = dims_of(score.value), dtype_of(score.value)
        is_flat, last = len(dims) == 3, score.class_axis == 3
        numbers = op.Unsqueeze(score.value, op.ints(3)) if is_flat else score.value
        numbers = channels_first(op, numbers, last=last)
        mask, asked, any_asked = add_mask_input(op, interface, (dims[1], dims[2]) if last else (dims[2], dims[3]))
        chosen = op.cast(op.Or(asked, op.Not(any_asked)), dtype)

        index = in_own_order(op, target, single=score.single_logit)
        seed, sums = sum_under_masks(op, score, numbers, index, chosen)
        seed = op.Squeeze(seed, op.ints(4)) if is_flat else seed
        tensors = add_class_outputs(op, interface, target, index, sums)
        tensors.mask_input = mask
        return AttachedTargets(seed, tensors)
