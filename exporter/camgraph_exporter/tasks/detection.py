"""Detection: a target is a class and a candidate box, before non-maximum suppression."""

from __future__ import annotations

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.choose.score import Score
from camgraph_exporter.targets.head import Head, add_target_input, pick, resolve_ranks, targets_first
from camgraph_exporter.targets.interface import Interface
from camgraph_exporter.vjp.backward import TARGETS, Backward, dtype_of


def attach_detection(op: Backward, interface: Interface, score: Score) -> Head:
    """Score: the class score of one box.

    Rank r of a class is by its best box; `anchor` -r is the class's r-th best box.
    """
    target = add_target_input(op, interface)
    anchor = interface.add_input("anchor", ir.DataType.INT64, [interface.batch, TARGETS])
    dtype = dtype_of(score.value)
    by_class = _classes_first(op, score.value, score)
    ranked_by = by_class if score.ranked_by is None else _classes_first(op, score.ranked_by, score)
    count = op.Squeeze(op.size_vector(by_class, 2), op.ints(0))
    best = op.reduce("ReduceMax", ranked_by, [2], keepdims=False)
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
    return Head(seed, tensors)


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
