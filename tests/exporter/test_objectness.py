"""Detectors that say how likely a box is an object: found by what they compute, ranked and explained by the product."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed (extra `torch`), so it cannot export these nets.")
pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra `torch`), so PyTorch cannot export.")

from torch import nn

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import UsageError
from camgraph_exporter.errors import ExportError, ScoreError
from camgraph_runtime import Explainer
from camgraph_runtime.run.engine import Engine
from exporter.matrix.architectures import Architecture, build
from exporter.matrix.compare import trace
from exporter.matrix.detectors import CLASSES, Anchors, Decoupled, Multiplied, OneConvolution
from support.detectors import backbone
from support.exporting import exported, images
from support.nets import Net

SIGMOID, NONE = pb.HEAD_KIND_SIGMOID, pb.HEAD_KIND_NONE
SHAPE = (3, 64, 32)
Arrays = Mapping[str, np.ndarray]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def product(found: np.ndarray) -> np.ndarray:
    """By which a YOLO ranks its rows [N, boxes, 5 + C] of probabilities."""
    return found[..., 4:5].astype(np.float64) * found[..., 5 : 5 + CLASSES]


@dataclass(frozen=True)
class Form:
    """A detector, what export is told, and what it must find.

    `ranked_by`: what boxes are ranked by, [N, boxes, C], of the model's first output. `start`: where its classes
    begin, None where they are all of it. `says`: of its notes. `boxes`: the boxes' format, "" where none is decoded.
    """

    build: Callable[[], nn.Module]
    ranked_by: Callable[[np.ndarray], np.ndarray]
    start: int | None
    says: str
    boxes: str = ""
    kind: pb.HeadKind = SIGMOID
    options: Mapping[str, Any] = field(default_factory=dict)


def logits(found: np.ndarray) -> np.ndarray:
    return product(sigmoid(found))


UNDECODED = {"decodes": False, "sigmoid": False}
COLUMNS = {"columns": "box,objectness,classes"}
FORMS = {
    "anchors": Form(Anchors, product, 5, "Boxes are decoded from sigmoids of the same head", "cxcywh"),
    "anchors, in place": Form(lambda: Anchors("in place"), product, 5, "sigmoids of the same head", "cxcywh"),
    "anchors and masks": Form(lambda: Anchors("masks"), product, 5, "it is an object, and 3 classes", "cxcywh"),
    "anchors, logits": Form(lambda: Anchors("logits"), logits, 5, "No sigmoid was found in the graph", options=COLUMNS),
    "decoupled": Form(Decoupled, product, 5, "by which boxes are ranked", "cxcywh"),
    "decoupled, undecoded": Form(
        lambda: Decoupled(decodes=False), product, 5, "State --box-format yolox if the model is a YOLOX"
    ),
    "yolox": Form(
        lambda: Decoupled(decodes=False), product, 5, "by which boxes are ranked", "yolox",
        options={"box_format": "yolox"},
    ),
    "decoupled, logits": Form(lambda: Decoupled(**UNDECODED), logits, 5, "No sigmoid was found in the graph"),
    "centreness last": Form(
        lambda: Decoupled(**UNDECODED, order=("classes", "box", "objectness")),
        lambda found: sigmoid(found[..., :CLASSES]) * sigmoid(found[..., -1:]), 0, "No sigmoid was found in the graph",
    ),
    "no objectness": Form(
        lambda: Decoupled(decodes=False, order=("box", "classes")),
        lambda found: found[..., 4:].astype(np.float64), 4, "holds a box and 3 classes for each candidate",
    ),
    "no objectness, logits": Form(
        lambda: Decoupled(**UNDECODED, order=("box", "classes")), lambda found: found[..., 4:], 4,
        "state --head", kind=NONE,
    ),
    "boxes last, logits": Form(
        lambda: Decoupled(**UNDECODED, order=("classes", "box")), lambda found: found[..., :CLASSES], 0,
        "state --head", kind=NONE,
    ),
    "one convolution": Form(
        OneConvolution, lambda found: found[:, 4:].transpose(0, 2, 1), 4, "state --head", kind=NONE,
        options={"columns": "box,classes"},
    ),
    "multiplied": Form(Multiplied, lambda found: found.astype(np.float64), None, "a product of sigmoids", "xyxy"),
}  # fmt: skip  # a table, in rows of its own


@cache
def model_of(name: str) -> onnx.ModelProto:
    architecture = Architecture(name, FORMS[name].build, SHAPE, auto="", scores="detection")
    return ir.to_proto(trace(build(architecture), architecture))


@pytest.fixture(scope="module", params=FORMS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Form, Path]:
    folder = tmp_path_factory.mktemp("form")
    exported(model_of(request.param), folder, **FORMS[request.param].options)
    return FORMS[request.param], folder


def first_output(folder: Path, image: np.ndarray) -> np.ndarray:
    """What the trained model gives, by which boxes are ranked: of two outputs that which is not the boxes."""
    engine = Engine(folder / "source.onnx")
    found = engine.run({next(iter(engine.inputs)): image})
    return list(found.values())[-1]


def test_what_export_finds(made: tuple[Form, Path]) -> None:
    form, folder = made
    manifest = Explainer(folder / "cam.onnx").manifest
    head = manifest.head
    assert manifest.task == pb.TASK_DETECTION
    assert (head.num_classes, head.kind) == (CLASSES, form.kind)
    assert (head.class_slice.start if head.HasField("class_slice") else None) == form.start
    assert manifest.boxes.source_format == form.boxes
    assert any(form.says in note for note in manifest.notes), manifest.notes


def test_boxes_are_ranked_and_scored_as_the_model_ranks_them(made: tuple[Form, Path]) -> None:
    form, folder = made
    image = images((2, *SHAPE))
    ranked_by = form.ranked_by(first_output(folder, image))
    engine = Engine(folder / "cam.onnx")
    target, anchor = np.array([[-1, 2], [-1, 0]]), np.array([[-1, 7], [-3, 30]])
    found = engine.run({next(iter(engine.inputs)): image, "target": target, "anchor": anchor})
    for n in range(2):
        best = ranked_by[n].max(axis=0).argmax()
        order = ranked_by[n, :, best].argsort()[::-1]
        assert found["target_index"][n, 0] == best
        assert found["anchor_index"][n, 0] == order[-anchor[n, 0] - 1]
    chosen = ranked_by[np.arange(2)[:, None], found["anchor_index"], found["target_index"]]
    scores = np.log(chosen / (1 - chosen)) if form.kind == SIGMOID else chosen
    np.testing.assert_allclose(found["target_score"], scores, rtol=1e-4, atol=1e-5)


def test_what_is_listed_has_the_products_for_probabilities(made: tuple[Form, Path]) -> None:
    form, folder = made
    image = images((1, *SHAPE))
    ranked_by = form.ranked_by(first_output(folder, image))[0]
    result = Explainer(folder / "cam.onnx").explain(tensor=image, num_predictions=5, score_threshold=0.01)
    assert len(result.predictions) > 1 or form.kind == NONE
    best = result.predictions[0]
    assert (best.anchor, best.class_index) == np.unravel_index(ranked_by.argmax(), ranked_by.shape)
    for score in result.predictions:
        listed = score.probability if form.kind == SIGMOID else score.score
        np.testing.assert_allclose(listed, ranked_by[score.anchor, score.class_index], rtol=1e-4)
        assert (score.box is not None) == bool(form.boxes)


def test_objectness_orders_boxes_otherwise_than_classes_alone() -> None:
    """Otherwise the tests above prove nothing of the product."""
    for name in ("anchors", "decoupled"):
        engine = Engine(model_of(name).SerializeToString())
        [rows] = engine.run({next(iter(engine.inputs)): images((2, *SHAPE))}).values()
        assert (product(rows).max(2).argsort(1) != rows[..., 5:].max(2).argsort(1)).mean() > 0.1


def test_boxes_of_a_yolox_are_decoded_as_the_model_decodes_them(tmp_path: Path) -> None:
    """The same weights with and without decoding in the graph."""
    image = images((2, *SHAPE))
    boxes = {}
    for name, options in {"decoupled": {}, "yolox": {"box_format": "yolox"}}.items():
        architecture = Architecture("same weights", FORMS[name].build, SHAPE, auto="", scores="detection")
        exported(ir.to_proto(trace(build(architecture), architecture)), tmp_path, **options)
        engine = Engine(tmp_path / "cam.onnx")
        target = {name: np.zeros((2, 1), np.int64) for name in ("target", "anchor")}
        boxes[name] = engine.run({next(iter(engine.inputs)): image, **target})["boxes"]
    np.testing.assert_allclose(boxes["yolox"], boxes["decoupled"], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("labels", "start"), [(("a", "b", "c"), 5), (("a", "b", "c", "d"), None)])
def test_labels_decide_what_the_graph_leaves_open(labels: tuple[str, ...], start: int | None, tmp_path: Path) -> None:
    made = exported(model_of("anchors"), tmp_path, labels=labels)
    head = made.manifest.head
    assert head.num_classes == len(labels)
    assert head.class_slice.start == (start or 4)


def test_labels_that_do_not_fit_are_refused_where_the_graph_tells(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has 2 labels, but the score has 3 classes"):
        exported(model_of("no objectness"), tmp_path, labels=("a", "b"))


@pytest.mark.parametrize(
    ("name", "columns", "classes"),
    [("anchors", "box,classes", 4), ("anchors", "classes", 8), ("decoupled", "classes", 8)],
)
def test_what_the_user_says_of_the_columns_counts(name: str, columns: str, classes: int, tmp_path: Path) -> None:
    assert exported(model_of(name), tmp_path, columns=columns).manifest.head.num_classes == classes


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("multiplied", {"columns": "box,objectness,classes"}, "not 6 numbers or more for each candidate, as --columns"),
        ("no objectness, logits", {"box_format": "yolox", "boxes": "gone"}, "no tensor 'gone' to take as the boxes"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, options: Mapping[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=said):
        exported(model_of(name), tmp_path, **options)


def test_heads_of_scales_with_anchors_are_refused(tmp_path: Path) -> None:
    architecture = Architecture("maps", lambda: Anchors("maps"), SHAPE, auto="", scores="detection")
    model = ir.to_proto(trace(build(architecture), architecture))
    with pytest.raises(
        ScoreError, match="'permute' and 'permute_1' are the heads of a detector's scales, without boxes"
    ):
        exported(model, tmp_path)


@pytest.mark.parametrize(("channels", "asks"), [(24, True), (3, False)])
def test_heads_of_scales_may_be_maps_of_classes(channels: int, asks: bool, tmp_path: Path) -> None:
    """A YOLOv3 ends with 3 (5 + C) numbers per cell of each scale, a segmentation in several sizes with its classes."""
    net = Net(seed=3)
    names = [net.conv(x, (8, channels), kernel=1, name=f"scale{i}") for i, x in enumerate(backbone(net, 4)[2:])]
    shapes = {name: ("N", channels, side, side) for name, side in zip(names, (8, 4), strict=True)}
    notes = exported(net.model(*names, shapes=shapes), tmp_path).manifest.notes
    assert any("'scale0' and 'scale1' may be the heads of a detector's scales" in note for note in notes) == asks


def test_where_nothing_tells_export_asks(tmp_path: Path) -> None:
    made = exported(model_of("one convolution"), tmp_path)
    assert made.manifest.head.num_classes == 4 + CLASSES
    assert any("say with --columns what the values are" in note for note in made.manifest.notes)
