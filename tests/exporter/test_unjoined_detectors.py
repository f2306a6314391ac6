"""Detectors whose outputs are no scores of all boxes: the export says which tensor is, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph_exporter import export
from camgraph_exporter.errors import ScoreError
from support.detectors import backbone
from support.exporting import exported
from support.nets import Net

CLASSES = 3


def _rows(net: Net, x: str, width: int, cells: int) -> str:
    """Make [N, cells, width] of a map of eight channels."""
    flat = net.node("Reshape", net.conv(x, (8, width), kernel=1), net.ints(0, width, cells))
    return net.node("Transpose", flat, perm=[0, 2, 1])


def _as_torchvision() -> onnx.ModelProto:
    """RetinaNet as torchvision exports it: joined scores are cut up again by scale, for the first image, and chosen."""
    net = Net(seed=3)
    scales = list(zip(backbone(net, 4)[2:], (64, 16), strict=True))
    logits = net.node("Concat", *(_rows(net, x, CLASSES, cells) for x, cells in scales), axis=1, name="logits")
    boxes = net.node("Concat", *(_rows(net, x, 4, cells) for x, cells in scales), axis=1, name="deltas")
    kept, places = [], []
    for start, stop in ((0, 64), (64, 80)):
        part = net.node("Slice", logits, net.ints(start), net.ints(stop), net.ints(1))
        chances = net.node("Sigmoid", net.node("Gather", part, net.weight(np.int64(0)), axis=0))
        best = net.node("TopK", net.node("Reshape", chances, net.ints(-1)), net.ints(5), outputs=2)
        kept.append(best)
        places.append(net.node("Div", f"{best}:1", net.weight(np.int64(CLASSES))))
    scores, where = net.node("Concat", *kept, axis=0, name="scores"), net.node("Concat", *places, axis=0)
    picked = net.node("Gather", net.node("Gather", boxes, net.weight(np.int64(0)), axis=0), where, axis=0, name="boxes")
    return net.model(picked, scores, shapes={picked: (10, 4), scores: (10,)})


def test_the_scores_of_all_boxes_are_named_where_outputs_hold_the_best(tmp_path: Path) -> None:
    model = _as_torchvision()
    with pytest.raises(ScoreError) as caught:
        exported(model, tmp_path)
    assert str(caught.value) == (
        "No output of the model holds the class scores of all its boxes. They may be those of 'logits' [N, 80, 3]: "
        "name them with --score."
    )
    assert export(tmp_path / "source.onnx", score="logits").manifest.head.num_classes == CLASSES


@pytest.mark.parametrize("proposes", [True, False])
def test_regions_that_the_model_proposes_are_told(proposes: bool, tmp_path: Path) -> None:
    net = Net()
    maps = net.node("Relu", net.conv(net.image((1, 3, 16, 16)), (3, 8)))
    regions = net.weight(np.array([[0, 0, 8, 8], [4, 4, 12, 12]], np.float32))
    if proposes:
        mean = net.node("Reshape", net.node("GlobalAveragePool", maps), net.ints(2, 4))
        regions = net.node("Add", regions, mean)
    cut = net.node("RoiAlign", maps, regions, net.ints(0, 0), output_height=4, output_width=4)
    logits = net.pooled_head(cut, 8)
    with pytest.raises(ScoreError) as caught:
        exported(net.model(logits, shapes={logits: (2, 5)}), tmp_path)
    assert ("The model scores regions that it proposes itself (RoiAlign node" in str(caught.value)) == proposes
    assert ("whose first axis does not count the images" in str(caught.value)) != proposes


def _heads(widths: Sequence[int], *, channels_last: bool) -> onnx.ModelProto:
    """A map for each scale and each width, without a part that joins them."""
    net = Net(seed=3)
    shapes: dict[str, Sequence[int | str]] = {}
    for number, (x, side) in enumerate(zip(backbone(net, 4)[2:], (8, 4), strict=True)):
        for kind, width in enumerate(widths):
            name = f"scale{number}_{kind}"
            made = net.conv(x, (8, width), kernel=1, name="" if channels_last else name)
            if channels_last:
                net.node("Transpose", made, perm=[0, 2, 3, 1], name=name)
            shapes[name] = ("N", side, side, width) if channels_last else ("N", width, side, side)
    return net.model(*shapes, shapes=shapes)


@pytest.mark.parametrize(
    ("widths", "channels_last", "asks"),
    [
        ((24,), True, True),
        ((3,), True, False),
        ((5, 4, 1), False, True),
        ((16, 7), False, True),
        ((36, 36), False, True),
    ],
    ids=["channels last", "few classes", "YOLOX", "YOLOv8 for NPUs", "EfficientDet"],
)
def test_heads_without_what_joins_them_are_told(
    widths: Sequence[int], channels_last: bool, asks: bool, tmp_path: Path
) -> None:
    notes = exported(_heads(widths, channels_last=channels_last), tmp_path, task="segmentation").manifest.notes
    assert any("may be the heads of a detector's scales and not maps of classes" in note for note in notes) == asks


def test_one_sigmoid_over_boxes_and_classes_is_doubted(tmp_path: Path) -> None:
    net = Net(seed=3)
    rows = [_rows(net, x, 8, cells) for x, cells in zip(backbone(net, 4)[2:], (64, 16), strict=True)]
    output = net.node("Sigmoid", net.node("Concat", *rows, axis=1), name="rows")
    manifest = exported(net.model(output, shapes={output: ("N", 80, 8)}), tmp_path).manifest
    assert any("One sigmoid is taken of output 'rows' as a whole, so all of its 8 values" in n for n in manifest.notes)
