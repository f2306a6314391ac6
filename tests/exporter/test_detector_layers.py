"""The layer of `auto` in detectors of several scales is one that every box depends on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from camgraph_exporter.choose.layers import choose_layer, choose_layers
from camgraph_exporter.choose.score import find_score
from camgraph_exporter.errors import CertificateError
from camgraph_exporter.float64 import Float64Evaluator
from camgraph_exporter.layers.layers import TargetLayer
from camgraph_exporter.prepare.prepare import PreparedModel, prepare
from camgraph_exporter.tasks import Score
from camgraph_runtime import Box, Explainer, Target
from support import detectors
from support.exporting import camgraph, exported
from support.nets import Net

Build = Callable[[], onnx.ModelProto]


def only_scale() -> onnx.ModelProto:
    """One map; what follows its head only rearranges and rescales the scores."""
    net = Net(seed=4)
    x = detectors.backbone(net, 3)[-1]
    rows = detectors.head(net, x, 3, name="class_head")
    out = net.node("Sigmoid", net.node("Mul", rows, net.weight(np.float32(2))), name="scores")
    return net.model(out, shapes={out: ("N", 64, 3)})


def separate_backbones() -> onnx.ModelProto:
    """Two scales with nothing but the image in common: 256 boxes of the one, 16 of the other."""
    net = Net(seed=5)
    image = net.image(("N", 3, 64, 64))
    rows = []
    for i, stride in enumerate((4, 16)):
        x = net.node("Relu", net.conv(image, (3, 8), strides=[stride, stride]), name=f"own{i}")
        rows.append(detectors.head(net, x, 3))
    out = net.node("Sigmoid", net.node("Concat", *rows, axis=1), name="scores")
    return net.model(out, shapes={out: ("N", 272, 3)})


def classes_last_joined() -> onnx.ModelProto:
    """A constant score for the background is joined to each box's scores, which is no box of its own."""
    net = Net(seed=6)
    rows = net.node("Concat", *(detectors.head(net, x, 3) for x in detectors.backbone(net, 4)[2:]), axis=1)
    background = net.node("Expand", net.weight(np.zeros((1, 1, 1), np.float32)), net.ints(1, 80, 1))
    tiled = net.node("Mul", net.node("Slice", rows, net.ints(0), net.ints(1), net.ints(2)), net.weight(np.float32(0)))
    joined = net.node("Concat", net.node("Add", tiled, background), rows, axis=2, name="logits")
    return net.model(net.node("Softmax", joined, axis=2, name="scores"), shapes={"scores": ("N", 80, 4)})


# The network, the layer of `auto`, how many maps its note speaks of, and what the note says of another layer.
CASES: dict[str, tuple[Build, str, int, tuple[str, str]]] = {
    "one way": (detectors.one_way, "C2", 3, ("C4", "32 of 672 boxes depend on layer 'C4'")),
    "one way, many classes": (
        lambda: detectors.one_way(classes=7, softmax=False), "C2", 3, ("C3", "160 of 672 boxes depend on layer 'C3'")
    ),
    "pyramid": (detectors.pyramid, "C5", 4, ("P4", "80 of 85 boxes depend on layer 'P4'")),
    "two ways, split": (detectors.two_way, "C4", 2, ("D4", "16 of 80 boxes depend on layer 'D4'")),
    "two ways, sliced": (
        lambda: detectors.two_way(cut_by="Slice", classes=5), "C4", 2, ("N4", "16 of 80 boxes depend on layer 'N4'")
    ),
    "one scale": (only_scale, "C3", 1, ("C2", "")),
    "background": (classes_last_joined, "C3", 2, ("C4", "Not all boxes depend on layer 'C4'")),
}  # fmt: skip  # a table, in rows of its own


def read(build: Build) -> tuple[PreparedModel, Score]:
    prepared = prepare(ir.from_proto(build()))
    return prepared, find_score(prepared)


@pytest.mark.parametrize("name", CASES)
def test_auto_takes_a_map_that_all_boxes_depend_on(name: str) -> None:
    build, expected, heads, (other, said) = CASES[name]
    prepared, score = read(build)
    layer = choose_layer(prepared, score)
    assert layer.name == expected
    assert (f"come from {heads} maps" in layer.note) == (heads > 1), layer.note
    named = choose_layer(prepared, score, other)
    assert named.note.startswith(said)
    assert bool(named.note) == bool(said)


@pytest.mark.parametrize("name", CASES)
def test_the_scores_move_where_the_reach_says_so(name: str) -> None:
    """An oracle that knows nothing of the graph: push the layer, and see which boxes' scores move."""
    build, _, _, (other, _) = CASES[name]
    prepared, score = read(build)
    for layer in (choose_layer(prepared, score), choose_layer(prepared, score, other)):
        moved = _moved_boxes(build(), score, layer)
        words = layer.note.split(" boxes depend on")[0]
        if words.endswith(f"of {score.shape.num_anchors}"):
            assert int(words.split()[0]) == moved.sum()
        else:
            assert moved.all() == (words != "Not all")


def _moved_boxes(model: onnx.ModelProto, score: Score, layer: TargetLayer) -> np.ndarray:
    """Tell for each box whether a push of the whole layer moves its scores; bool [boxes]."""
    rng = np.random.default_rng(0)
    image = rng.standard_normal((1, 3, detectors.SIDE, detectors.SIDE))
    evaluator = Float64Evaluator(model)
    before, activations = evaluator.run([score.name, layer.name], {"image": image})
    pushed = activations + np.abs(rng.standard_normal(activations.shape))
    after = evaluator.run([score.name], {"image": image, layer.name: pushed})[0]
    return np.asarray((before != after)[0].any(axis=score.class_axis - 1))


@pytest.mark.parametrize("layer", ["joined", "N3", "D4"])
def test_finer_maps_after_a_coarse_one_have_a_place_at_any_size(layer: str, tmp_path: Path) -> None:
    """The certificate moves patches of the image, and sees whether the cells there move."""
    made = exported(detectors.neck(), tmp_path, layers=(layer,), input_size=(128, 192))
    assert made.manifest.certificate.passed
    assert "registration" in {check.name for check in made.manifest.certificate.checks}


def test_inspect_says_which_map_was_taken(tmp_path: Path) -> None:
    onnx.save(detectors.one_way(), tmp_path / "model.onnx")
    said = camgraph("inspect", tmp_path / "model.onnx").stderr
    assert "the target layer is 'C2', the deepest map that all boxes depend on" in said


@pytest.mark.parametrize("name", CASES)
def test_inspect_says_how_many_boxes_a_layer_reaches(name: str, tmp_path: Path) -> None:
    onnx.save(CASES[name][0](), tmp_path / "model.onnx")
    prepared, score = read(CASES[name][0])
    layers = json.loads(camgraph("inspect", tmp_path / "model.onnx", "--json").stdout)["layers"]
    for layer in layers:
        moved = _moved_boxes(CASES[name][0](), score, choose_layer(prepared, score, layer["name"]))
        counted = f"{moved.sum()} of {moved.size}"
        assert layer["boxes"] == ("all" if moved.all() else "not all" if name == "background" else counted)
    assert any(layer["boxes"] != "all" for layer in layers) == (name != "one scale")
    assert " boxes " in camgraph("inspect", tmp_path / "model.onnx").stdout


def test_a_box_of_another_scale_is_told_apart_from_an_empty_map(tmp_path: Path) -> None:
    """Of 672 boxes the last 32 are read from C4."""
    exported(detectors.one_way(), tmp_path, layers=("C4",))
    explainer = Explainer(tmp_path / "cam.onnx")
    image = np.random.default_rng(3).standard_normal((1, 3, 64, 64)).astype(np.float32)
    targets = [Target.index(1, place=Box(box)) for box in (0, 639, 640, 671)]
    for method in ("grad-cam", "hires-cam", "layer-cam"):
        result = explainer.explain(tensor=image, targets=targets, method=method)
        assert [item.statistics.no_gradient for item in result.explanations] == [True, True, False, False]
        assert sum("does not depend on the layer" in warning for warning in result.warnings) == 2
    blind = explainer.explain(tensor=image, targets=targets, method="eigen-cam")
    assert not any(item.statistics.no_gradient for item in blind.explanations)


def test_without_a_common_map_auto_takes_one_for_each_scale() -> None:
    prepared, score = read(separate_backbones)
    layers = choose_layers(prepared, score)
    assert [layer.name for layer in layers] == ["own0", "own1"]
    assert layers[0].note == (
        "No map is one that all boxes depend on, so each is explained where it is read: 256 of 272 boxes at 'own0', "
        "16 of 272 boxes at 'own1'."
    )
    named = choose_layer(prepared, score, "own0")
    assert named.note == "256 of 272 boxes depend on layer 'own0'; the heatmaps of the others are empty."


def test_a_box_is_shown_by_the_map_of_its_scale(tmp_path: Path) -> None:
    exported(separate_backbones(), tmp_path)
    explainer = Explainer(tmp_path / "cam.onnx")
    image = np.random.default_rng(3).standard_normal((1, 3, 64, 64)).astype(np.float32)
    targets = [Target.index(1, place=Box(box)) for box in (100, 260)]
    for method in ("hires-cam", "grad-cam"):
        together = explainer.explain(tensor=image, targets=targets, method=method)
        assert not together.warnings
        for number, layer in enumerate(("own0", "own1")):
            alone = explainer.explain(tensor=image, targets=targets, method=method, layers=[layer]).explanations
            assert [item.statistics.no_gradient for item in alone] == [number == 1, number == 0]
            shown = together.explanations[number].heatmap
            assert shown.max() > 0
            np.testing.assert_allclose(shown, alone[number].heatmap, atol=1e-5)


@pytest.mark.parametrize("layer", ["auto", "C4"])
def test_maps_of_one_scale_are_proven_at_boxes_that_depend_on_them(layer: str, tmp_path: Path) -> None:
    """Of 672 boxes 32 depend on C4: at most others every gradient is zero, and zeros prove nothing."""
    made = exported(detectors.one_way(), tmp_path, layers=(layer,))
    assert made.manifest.certificate.passed
    slopes = next(check for check in made.manifest.certificate.checks if check.name == "gradient-finite-differences")
    assert slopes.error > 0


def test_a_silent_layer_that_nobody_chose_is_said_to_be_of_auto(tmp_path: Path) -> None:
    net = Net(seed=4)
    x = detectors.backbone(net, 3)[-1]
    rows = net.node("Mul", detectors.head(net, x, 3), net.weight(np.float32(0)))
    model = net.model(net.node("Sigmoid", rows, name="scores"), shapes={"scores": ("N", 64, 3)})
    with pytest.raises(CertificateError, match="The gradient at layer 'C3', which auto took, is zero everywhere"):
        exported(model, tmp_path)
    with pytest.raises(CertificateError, match="The gradient at layer 'C3' is zero everywhere"):
        exported(model, tmp_path, layers=("C3",))
