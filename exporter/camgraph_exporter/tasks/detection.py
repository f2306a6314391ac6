"""Detection: a target is a class and a candidate box, before non-maximum suppression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.boxes.background import background_of
from camgraph_exporter.boxes.find import Wanted, find_boxes
from camgraph_exporter.boxes.options import BoxOptions
from camgraph_exporter.boxes.outputs import add_boxes
from camgraph_exporter.boxes.sample import sample_of
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.layers.auto import deepest_map, last_map
from camgraph_exporter.layers.box_groups import BoxGroups
from camgraph_exporter.layers.layers import TargetLayer, is_moved, narrowest
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.score.columns import SIDES, shorter_axis
from camgraph_exporter.score.score_shape import ScoreShape, count_of, misfit
from camgraph_exporter.score.steps import axis_of_steps
from camgraph_exporter.targets.classes import add_target_input, pick, resolve_ranks, targets_first
from camgraph_exporter.targets.draw import Arrays, Draw
from camgraph_exporter.targets.interface import AttachedTargets, Interface
from camgraph_exporter.tasks.task import Evidence, Score, Task
from camgraph_exporter.vjp.backward import TARGETS, Backward, dtype_of

_SOFTMAX = (pb.HEAD_KIND_SOFTMAX, pb.HEAD_KIND_LOG_SOFTMAX)


class Detection(Task):
    """Scores of each box and class, [N, boxes, C] or [N, C, boxes]."""

    kind = pb.TASK_DETECTION
    is_dense = True
    has_boxes = True

    def claim(self, evidence: Evidence) -> str | None:
        """Claim what the model sorts as boxes, and tensors with two wide axes after the batch."""
        if evidence.shown.sorted_from is not None:
            return "" if evidence.shown.sorted_from == "boxes" else None
        # Beside boxes in one output even a single score for each is one of a box.
        least = 1 if evidence.shown.part is not None else 2
        return "" if len(evidence.dims) == 3 and least <= evidence.num_wide <= 2 else None

    def read(self, prepared: PreparedModel, value: ir.Value, class_axis: int | None) -> ScoreShape:
        """Read one score for each box and class, or for each step of a row and class.

        There are more boxes than classes where nothing else tells.
        """
        dims = dims_of(value)
        if len(dims) != 3 or not any(isinstance(dim, int) for dim in dims[1:]):
            raise misfit(value, "one score for each box and class, [N, boxes, C] or [N, C, boxes]")
        steps = axis_of_steps(prepared, value)
        of_classes = shorter_axis(dims) if steps is None else 3 - steps
        axis = class_axis or of_classes
        boxes = dims[3 - axis]
        return ScoreShape(
            count_of(dims[axis]),
            axis,
            num_anchors=boxes if isinstance(boxes, int) else 0,
            are_steps=steps is not None and axis == of_classes,
        )

    def doubt(self, prepared: PreparedModel, score: Score) -> str:
        """Say that box coordinates may be among the classes where no head tells them apart."""
        if score.kind == pb.HEAD_KIND_SIGMOID and _is_one_for_all(prepared, score):
            return f"One sigmoid is taken of output {score.output.name!r} as a whole, so {_all_count(score)}"
        if score.kind != pb.HEAD_KIND_NONE or score.shape.are_steps:
            return ""
        outputs = (output for output in prepared.graph.outputs if output is not score.output)
        others = [dims_of(output) for output in outputs if output.shape is not None]
        candidates = dims_of(score.value)[3 - score.class_axis]
        if score.shown.part is not None or (dims_of(prepared.image)[0], candidates, SIDES) in others:
            return (
                "No sigmoid or softmax is applied to the classes, so nothing is known of probabilities; state --head."
            )
        found = f"No sigmoid or softmax was found before output {score.output.name!r}, so that"
        return f"{found} {_all_count(score)}"

    def complete(self, prepared: PreparedModel, score: Score, options: BoxOptions) -> Score:
        """Find the boxes, and the class that stands for no object."""
        wanted = Wanted(
            scores=score.value,
            class_axis=score.class_axis,
            output=score.output,
            part=score.shown.part,
            is_ranked=score.shown.is_ranked,
            name=options.boxes,
            format=options.box_format,
            unit=options.box_unit,
        )
        boxes, said_of_boxes = (None, _steps(score)) if _is_row(score, options) else find_boxes(prepared, wanted)
        background, said_of_background = options.background_among(score.num_classes), ""
        if options.background is None and score.kind in _SOFTMAX:
            scores = np.moveaxis(sample_of(prepared, score.value), score.class_axis, 2)
            background, said_of_background = background_of(scores)
        note = " ".join(filter(None, (score.note, said_of_boxes, said_of_background)))
        return replace(score, boxes=boxes, shape=replace(score.shape, background=background), note=note)

    def best_layer(self, prepared: PreparedModel, score: Score, layers: Sequence[TargetLayer]) -> TargetLayer:
        """Return the deepest map that every box depends on: a map of one scale is empty for the boxes of the others."""
        if not narrowest(layers)[-1].has_effect:
            return last_map(layers)
        groups = BoxGroups(prepared, score.value, score.shape)
        shared = groups.most_shared([layer.value for layer in layers if layer.has_effect])
        chosen = _deepest(prepared, score, [layer for layer in layers if layer.value in shared] or layers, layers)
        note = _missed(groups, chosen)
        if len(groups.groups) > 1 and not note:
            note = (
                f"The scores of the boxes come from {len(groups.groups)} maps; the target layer is {chosen.name!r}, "
                "the deepest map that all boxes depend on."
            )
        return replace(chosen, note=note)

    def completed(
        self, prepared: PreparedModel, score: Score, best: TargetLayer, layers: Sequence[TargetLayer]
    ) -> list[TargetLayer]:
        """Return the best layer, and where it is not one of all boxes, one for each of the scales that it misses."""
        groups = BoxGroups(prepared, score.value, score.shape)
        chosen, usable = [best], [layer for layer in layers if layer.has_effect]
        while missing := groups.without([layer.value for layer in chosen]):
            shared = groups.most_shared([layer.value for layer in usable], missing)
            if not shared:
                break
            chosen.append(_deepest(prepared, score, [layer for layer in usable if layer.value in shared], layers))
        if len(chosen) == 1:
            return chosen
        parts = ", ".join(f"{groups.partly(layer.value)} boxes at {layer.name!r}" for layer in chosen)
        rest = " The heatmaps of the others are empty." if groups.without([layer.value for layer in chosen]) else ""
        note = f"No map is one that all boxes depend on, so each is explained where it is read: {parts}.{rest}"
        return [replace(best, note=note), *chosen[1:]]

    def reach(self, prepared: PreparedModel, score: Score, layer: TargetLayer) -> str:
        """Say how many boxes do not depend on a layer."""
        return _missed(BoxGroups(prepared, score.value, score.shape), layer)

    def reached(self, prepared: PreparedModel, score: Score, layers: Sequence[TargetLayer]) -> Sequence[str]:
        """Return how many boxes depend on each layer."""
        groups = BoxGroups(prepared, score.value, score.shape)
        return [(groups.partly(layer.value) or "all").lower() for layer in layers]

    def attach(self, op: Backward, interface: Interface, score: Score) -> AttachedTargets:
        """Score: the class score of one box.

        Rank r of a class is by its best box; `anchor` -r is the class's r-th best box.
        """
        target = add_target_input(op, interface)
        anchor = interface.add_input("anchor", ir.DataType.INT64, [interface.batch, TARGETS])
        dtype = dtype_of(score.value)
        by_class = _classes_first(op, score.value, score)
        ranked_by = by_class if score.ranked_by is None else _classes_first(op, score.ranked_by, score)
        if score.ranked_by is None and score.kind in _SOFTMAX:
            # What a softmax adds up to 1 does not compare between boxes: the sum before it differs.
            ranked_by = op.Softmax(by_class, axis=1)
        count = op.Squeeze(op.size_vector(by_class, 2), op.ints(0))
        best = op.reduce("ReduceMax", ranked_by, [2], keepdims=False)
        if score.shape.background is not None:
            is_object = np.arange(score.num_classes)[None] != score.shape.background
            best = op.Where(op.constant(is_object), best, op.cast(op.constant(np.array(-np.inf, np.float32)), dtype))
        index = resolve_ranks(op, best, target, score.num_classes)

        boxes = pick(op, by_class, index)
        box = _resolve_boxes(op, boxes if ranked_by is by_class else pick(op, ranked_by, index), anchor, count)
        target_score = pick(op, boxes, box, batch_dims=2)

        classes = op.Unsqueeze(targets_first(op, index), op.ints(2, 3))
        places = op.Unsqueeze(targets_first(op, box), op.ints(2, 3))
        is_class = op.Equal(classes, op.Unsqueeze(op.arange(op.size_vector(by_class, 1)), op.ints(1)))
        is_box = op.Equal(places, op.arange(op.size_vector(by_class, 2)))
        seed = op.cast(op.And(is_class, is_box), dtype)
        seed = seed if score.class_axis == 1 else op.Transpose(seed, perm=[0, 1, 3, 2])
        tensors = pb.TargetTensors(
            target_input=str(target.name),
            anchor_input=str(anchor.name),
            target_index_output=interface.add_output("target_index", index),
            anchor_index_output=interface.add_output("anchor_index", box),
            target_score_output=interface.add_output("target_score", op.cast(target_score, ir.DataType.FLOAT)),
        )
        return AttachedTargets(seed, tensors, self._attach_boxes(op, interface, score, ranked_by))

    def _attach_boxes(self, op: Backward, interface: Interface, score: Score, ranked_by: ir.Value) -> pb.Boxes | None:
        """Add the output of the boxes, and that of their scores where the source's own output does not list them."""
        if score.boxes is None and score.shown.is_listed:
            return None
        made = pb.Boxes() if score.boxes is None else add_boxes(op, interface, score.boxes)
        if score.shown.is_ranked or not score.shown.is_listed:
            is_sigmoid = score.kind == pb.HEAD_KIND_SIGMOID and score.ranked_by is None
            listed = op.Transpose(op.Sigmoid(ranked_by) if is_sigmoid else ranked_by, perm=[0, 2, 1])
            made.scores_output = interface.add_output("box_scores", op.cast(listed, ir.DataType.FLOAT))
        return made

    def draw(self, draw: Draw) -> Arrays:
        """Draw classes and boxes."""
        return super().draw(draw) | {draw.names.anchor_input: draw.choices(draw.candidates)}


def _deepest(
    prepared: PreparedModel, score: Score, common: Sequence[TargetLayer], layers: Sequence[TargetLayer]
) -> TargetLayer:
    ends = [layer for layer in common if not is_moved(layer)]
    return deepest_map(prepared, score.value, ends or common, layers)


def _missed(groups: BoxGroups, layer: TargetLayer) -> str:
    boxes = groups.partly(layer.value)
    if boxes is None:
        return ""
    return f"{boxes} boxes depend on layer {layer.name!r}; the heatmaps of the others are empty."


def _classes_first(op: Backward, value: ir.Value, score: Score) -> ir.Value:
    return value if score.class_axis == 1 else op.Transpose(value, perm=[0, 2, 1])


def _resolve_boxes(op: Backward, boxes: ir.Value, anchor: ir.Value, count: ir.Value) -> ir.Value:
    """Turn -r into the r-th best box of each target's own class. boxes: scores [N, T, boxes]; anchor: [N, T]."""
    wide = op.Unsqueeze(anchor, op.ints(2))
    rows = op.Reshape(boxes, op.join([op.ints(-1), op.size_vector(boxes, 2)]))
    resolved = resolve_ranks(op, rows, op.Reshape(wide, op.ints(-1, 1)), count)
    result = op.Reshape(resolved, op.Shape(anchor))
    result.shape = anchor.shape
    return result


def _is_row(score: Score, options: BoxOptions) -> bool:
    return score.shape.are_steps and options.boxes is None


def _steps(score: Score) -> str:
    count = f"The {score.shape.num_anchors} candidates" if score.shape.num_anchors else "The candidates"
    return (
        f"{count} of {score.name!r} are no boxes but steps along the image, as text recognisers (CTC) have: --target "
        "names the character, and --anchor the step."
    )


def _is_one_for_all(prepared: PreparedModel, score: Score) -> bool:
    """Tell whether the only output holds nothing but sigmoids, so that boxes can be nowhere but among them."""
    return score.shown.part is None and not score.shown.is_ranked and len(prepared.graph.outputs) == 1


def _all_count(score: Score) -> str:
    return (
        f"all of its {score.num_classes} values count as classes. If there are box coordinates among them, say with "
        "--columns what the values are, or name the tensor of the class scores with --score."
    )
