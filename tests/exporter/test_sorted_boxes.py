"""Detectors that sort their own boxes, and classifiers that sort their classes: the scores of all are found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.errors import ScoreError
from camgraph_exporter.float64 import Float64Evaluator
from camgraph_runtime.run.engine import Engine
from support import detectors
from support.exporting import camgraph, exported, images
from support.nets import CLASSES, Net, trunk

Outputs = Mapping[str, np.ndarray]
SIGMOID, SOFTMAX = pb.HEAD_KIND_SIGMOID, pb.HEAD_KIND_SOFTMAX


@dataclass(frozen=True)
class Case:
    """A detector, the number of its classes and boxes, its head, and where an output has the best probability."""

    build: Callable[[], onnx.ModelProto]
    classes: int
    kind: pb.HeadKind
    best: Callable[[Outputs], np.ndarray]
    boxes: int = 64
    scale: tuple[str, ...] = ()


def _rows(found: Outputs) -> np.ndarray:
    return found["output0"][:, 0, 4]


def _first(found: Outputs) -> np.ndarray:
    return found["scores"][:, 0]


CASES = {
    "joined, split, sorted twice": Case(detectors.topk_of_joined, 3, SIGMOID, _rows),
    "more classes": Case(lambda: detectors.topk_of_joined(classes=7), 7, SIGMOID, _rows),
    "as many classes as boxes": Case(lambda: detectors.topk_of_flat(classes=64), 64, SIGMOID, _first),
    "box and class at once": Case(detectors.topk_of_flat, 5, SIGMOID, _first),
    "best of each box": Case(detectors.best_of_each, 6, SIGMOID, lambda f: f["scores"].max(axis=1)),
    "head after the sorting": Case(detectors.head_after_sorting, 3, SIGMOID, _rows),
    "one class": Case(detectors.one_class, 1, SIGMOID, _first),
    "a head for each scale": Case(detectors.heads_per_scale, 3, SIGMOID, _rows, boxes=80),
}


@pytest.mark.parametrize("name", CASES)
def test_the_best_box_is_the_first_that_the_model_shows(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    made = exported(case.build(), tmp_path)
    head = made.manifest.head
    assert made.manifest.task == pb.TASK_DETECTION
    assert (head.num_classes, head.num_anchors, head.kind) == (case.classes, case.boxes, case.kind)
    assert head.output_is_ranked
    what = "class of each box" if name == "best of each box" else "boxes, which TopK node"
    assert any(f"holds only the best {what}" in note for note in made.manifest.notes)
    found = Engine(tmp_path / "cam.onnx").run(
        {"image": images((2, 3, 64, 64)), "target": -np.ones((2, 1), np.int64), "anchor": -np.ones((2, 1), np.int64)}
    )
    score = found["target_score"][:, 0]
    probability = 1 / (1 + np.exp(-score))
    np.testing.assert_allclose(probability, case.best(found), rtol=1e-5)


def test_a_background_that_is_cut_off_is_still_a_class_of_the_softmax(tmp_path: Path) -> None:
    made = exported(detectors.tensorflow_style(), tmp_path)
    head = made.manifest.head
    assert (head.num_classes, head.num_anchors, head.kind) == (4, 64, SOFTMAX)
    assert head.score_tensor == "class_rows"
    assert any("The selection sees 3 of its 4 classes, from class 1 on." in note for note in made.manifest.notes)


@pytest.mark.parametrize(
    ("build", "objectness", "boxes"),
    [
        (detectors.suppressed, False, ""),
        (lambda: detectors.suppressed(objectness=True), True, ""),
        (detectors.suppressed_rows, True, "cxcywh"),
    ],
    ids=["classes", "objectness", "rows"],
)
def test_suppressed_boxes(build: Callable[[], onnx.ModelProto], objectness: bool, boxes: str, tmp_path: Path) -> None:
    """What boxes are suppressed by is the score, with an objectness that was multiplied on."""
    model = build()
    made = exported(model, tmp_path)
    assert made.manifest.boxes.source_format == boxes
    head = made.manifest.head
    assert (head.num_classes, head.num_anchors, head.kind) == (3, 64, SIGMOID)
    assert (head.score_tensor == "class_rows") != objectness
    assert any("ranked by a product of sigmoids" in note for note in made.manifest.notes) == objectness
    image, anchors = images((2, 3, 64, 64)), np.array([[3, 9, 60]] * 2)
    found = Engine(tmp_path / "cam.onnx").run({"image": image, "target": np.array([[0, 1, 2]] * 2), "anchor": anchors})
    [by_class] = Float64Evaluator(model).run(["by_class"], {"image": image})
    expected = by_class[np.arange(2)[:, None], [0, 1, 2], anchors]
    np.testing.assert_allclose(1 / (1 + np.exp(-found["target_score"])), expected, rtol=1e-4)


def test_a_number_of_each_box_that_is_no_sigmoid_is_left_out_of_the_score(tmp_path: Path) -> None:
    made = exported(detectors.suppressed(objectness=True, by="Softplus"), tmp_path)
    assert made.manifest.head.num_classes == 3
    assert any("is multiplied on before the selection" in note for note in made.manifest.notes)


def test_naming_the_scores_that_are_found_changes_nothing(tmp_path: Path) -> None:
    onnx.save(detectors.topk_of_flat(), tmp_path / "model.onnx")
    found = camgraph("inspect", tmp_path / "model.onnx")
    named = camgraph("inspect", tmp_path / "model.onnx", "--score", "class_rows")
    assert (named.stdout, named.stderr) == (found.stdout, found.stderr)


@pytest.mark.parametrize("values_first", [True, False])
def test_a_classifier_that_sorts_its_classes(values_first: bool, tmp_path: Path) -> None:
    net = Net(seed=3)
    logits = net.pooled_head(trunk(net, net.image()), 16)
    values, places = detectors.top(net, net.node("Softmax", logits, axis=1), 3, name="best")
    order = (values, places) if values_first else (places, values)
    model = net.model(*order, shapes={values: ("N", 3), places: ("N", 3)})
    model.graph.output[1 if values_first else 0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    made = exported(model, tmp_path)
    assert made.manifest.task == pb.TASK_CLASSIFICATION
    assert (made.manifest.head.score_tensor, made.manifest.head.num_classes) == ("logits", CLASSES)
    found = Engine(tmp_path / "cam.onnx").run({"image": images((2, 3, 16, 16)), "target": np.array([[-1], [-1]])})
    np.testing.assert_array_equal(found["target_index"][:, 0], found["best:1"][:, 0])


def test_a_maximum_over_places_is_a_pooling(tmp_path: Path) -> None:
    """Nothing is sorted: the classes of a classifier that takes the largest logit of all places."""
    net = Net(seed=3)
    rows = net.node("Reshape", net.conv(trunk(net, net.image()), (16, CLASSES), kernel=1), net.ints(0, CLASSES, -1))
    logits = net.node("ReduceMax", rows, axes=[2], keepdims=0, name="logits")
    made = exported(net.model(net.node("Softmax", logits, axis=1)), tmp_path)
    assert made.manifest.task == pb.TASK_CLASSIFICATION
    assert (made.manifest.head.score_tensor, made.manifest.head.output_is_ranked) == ("logits", False)


def test_what_is_sorted_is_named_where_it_is_not_of_boxes_and_classes(tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match=r"TopK node 'node/scores' selects them by .* with --score") as caught:
        exported(detectors.peaks(), tmp_path)
    assert "layer" not in str(caught.value)
    made = exported(detectors.peaks(), tmp_path, score="heat")
    assert made.manifest.task == pb.TASK_SEGMENTATION
