"""The explainer on a small graph whose gradients are known in closed form."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.png import encode_png
from camgraph_core.request import Request
from camgraph_runtime import (
    Engine,
    Explainer,
    InferenceError,
    Result,
    Target,
    UnsupportedError,
    UsageError,
    explanations,
)
from camgraph_runtime.maps.cam import METHODS
from camgraph_runtime.maps.profiles import pytorch_grad_cam
from support.tiny_explainer import ONE, PHOTO, TINY, load, tensor
from support.tiny_graph import TinyGraph


class Truth:
    """The tiny graph in float64 NumPy."""

    def __init__(self, graph: TinyGraph, image: np.ndarray) -> None:
        self.conv = _conv(image[0].astype(np.float64), graph.kernel.astype(np.float64))
        self.features = np.maximum(self.conv, 0)
        self.linear = graph.linear.astype(np.float64)
        self.scores = self.linear @ self.features.mean(axis=(1, 2)) + graph.bias
        self.ranked = list(np.argsort(-self.scores, kind="stable"))

    def weights(self, index: int) -> np.ndarray:
        return self.linear[index] / self.features[0].size

    def gradients_before_relu(self, index: int) -> np.ndarray:
        return self.weights(index)[:, None, None] * (self.conv > 0)

    def raw(self, weights: np.ndarray) -> np.ndarray:
        return np.einsum("k,khw->hw", weights, self.features)


def _conv(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2, ::2]
    return np.einsum("chwij,kcij->khw", windows, kernel)


def test_it_describes_itself(explainer: Explainer) -> None:
    assert explainer.labels == list(TINY.labels)
    assert explainer.num_classes == 5
    assert explainer.layers == ["features", "conv"]
    assert explainer.batch_size is None
    assert load(TinyGraph(batch=1)).batch_size == 1
    assert explainer.engine.execution_provider == "CPUExecutionProvider"


def test_predictions_and_maps_match_the_closed_form(explainer: Explainer) -> None:
    truth = Truth(TINY, tensor())
    result = explainer.explain(tensor=tensor(), targets=[Target.index(3), Target.index(0)])

    assert [p.class_index for p in result.predictions] == truth.ranked
    np.testing.assert_allclose([p.score for p in result.predictions], truth.scores[truth.ranked], rtol=1e-5)
    powers = np.exp(truth.scores)
    expected = (powers / powers.sum())[truth.ranked]
    np.testing.assert_allclose([p.probability for p in result.predictions], expected, rtol=1e-5)

    for explanation, index in zip(result.explanations, (3, 0), strict=True):
        assert explanation.target.class_index == index
        assert explanation.target.label == TINY.labels[index]
        assert explanation.target.score == pytest.approx(truth.scores[index], rel=1e-5)
        np.testing.assert_allclose(explanation.weights[0], truth.weights(index), rtol=1e-5)
        np.testing.assert_allclose(explanation.activations[0], truth.features, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(explanation.raw_map, truth.raw(truth.weights(index)), rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(explanation.heatmap, pytorch_grad_cam([explanation.raw_map], (16, 16)))
        assert explanation.statistics.maximum == pytest.approx(float(explanation.raw_map.max()))
    assert result.photo is None


def test_ranks_labels_indices_and_top_k_come_in_the_order_asked(explainer: Explainer) -> None:
    truth = Truth(TINY, tensor())
    targets = [Target.of_rank(2), Target.of_label("DOG"), Target.index(4), Target()]
    result = explainer.explain(tensor=tensor(), targets=targets, top_k=3)
    expected = [truth.ranked[1], 1, 4, truth.ranked[0], *truth.ranked[:3]]
    assert [e.target.class_index for e in result.explanations] == expected


def test_without_targets_the_best_class_is_explained(explainer: Explainer) -> None:
    result = explainer.explain(tensor=tensor(), num_predictions=2)
    assert len(result.explanations) == 1
    assert result.explanations[0].target == result.predictions[0]
    assert len(result.predictions) == 2


def test_many_targets_equal_many_runs(explainer: Explainer) -> None:
    together = explainer.explain(tensor=tensor(), top_k=5).explanations
    for index, explanation in enumerate(together, start=1):
        alone = explainer.explain(tensor=tensor(), targets=[Target.of_rank(index)]).explanations[0]
        np.testing.assert_array_equal(alone.heatmap, explanation.heatmap)


def test_contrast_and_sign(explainer: Explainer) -> None:
    truth = Truth(TINY, tensor())
    cat, dog = Target.index(0), Target.index(1)
    plain, against, negative, both = explainer.explain(
        tensor=tensor(),
        targets=[
            cat,
            Target.index(0, contrast=dog),
            Target.index(0, negative=True),
            Target.of_label("cat", contrast=Target.of_rank(1), negative=True),
        ],
    ).explanations
    np.testing.assert_array_equal(negative.raw_map, -plain.raw_map)
    np.testing.assert_allclose(against.weights[0], truth.weights(0) - truth.weights(1), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(against.raw_map, truth.raw(truth.weights(0) - truth.weights(1)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(both.weights[0], truth.weights(truth.ranked[0]) - truth.weights(0), rtol=1e-5, atol=1e-8)
    assert against.contrast is not None
    assert against.contrast.label == "dog"
    assert against.title == "cat, not dog"
    assert negative.title == "against cat"


def test_every_method_at_the_layer_before_the_relu(explainer: Explainer) -> None:
    truth = Truth(TINY, tensor())
    gradients = truth.gradients_before_relu(2)
    maps = {}
    for name, method in METHODS.items():
        result = explainer.explain(tensor=tensor(), targets=[Target.index(2)], method=name, layers=["conv"])
        explanation = result.explanations[0]
        assert explanation.method == name
        assert explanation.layers == ("conv",)
        expected = method(
            truth.conv.astype(np.float32),
            gradients.mean(axis=(1, 2)).astype(np.float32),
            gradients.astype(np.float32),
        )
        scale = np.abs(expected).max()
        np.testing.assert_allclose(explanation.raw_map / scale, expected / scale, atol=2e-3)
        maps[name] = explanation.raw_map
    assert not np.allclose(maps["grad-cam"], maps["hires-cam"])
    np.testing.assert_array_equal(maps["guided-grad-cam"], maps["grad-cam"])


def test_two_layers_are_fused_and_an_alias_names_a_layer(explainer: Explainer) -> None:
    one, two, both = (
        explainer.explain(tensor=tensor(), layers=layers).explanations[0]
        for layers in (["last"], ["conv"], ["last", "conv"])
    )
    assert one.layers == ("features",)
    assert both.layers == ("features", "conv")
    assert len(both.raw_maps) == len(both.weights) == len(both.activations) == 2
    expected = pytorch_grad_cam([one.raw_map, two.raw_map], (16, 16))
    np.testing.assert_array_equal(both.heatmap, expected)


def test_the_raw_profile_gives_the_signed_map(explainer: Explainer) -> None:
    explanation = explainer.explain(PHOTO, profile="raw").explanations[0]
    assert explanation.heatmap.shape == (8, 8)
    np.testing.assert_array_equal(explanation.heatmap, explanation.raw_map)
    with pytest.raises(UsageError, match="takes one layer"):
        explainer.explain(PHOTO, profile="raw", layers=["features", "conv"])


@pytest.mark.parametrize("head", [pb.HEAD_KIND_SOFTMAX, pb.HEAD_KIND_LOG_SOFTMAX, pb.HEAD_KIND_SIGMOID])
def test_scores_are_restored_after_every_head(head: pb.HeadKind) -> None:
    graph = TinyGraph(head=head)
    truth = Truth(graph, tensor())
    result = load(graph).explain(tensor=tensor(), targets=[Target.of_rank(3)])
    assert [p.class_index for p in result.predictions] == truth.ranked
    np.testing.assert_allclose([p.score for p in result.predictions], truth.scores[truth.ranked], rtol=1e-4, atol=1e-5)
    total = sum(p.probability for p in result.predictions)
    assert total == pytest.approx(1) or head == pb.HEAD_KIND_SIGMOID


def test_nhwc_input_gives_the_same_answers(explainer: Explainer) -> None:
    channels_last = load(TinyGraph(layout=pb.LAYOUT_NHWC))
    for options in ({"image": PHOTO}, {}):
        tensors = (
            ({}, {})
            if options
            else ({"tensor": tensor()}, {"tensor": np.ascontiguousarray(tensor().transpose(0, 2, 3, 1))})
        )
        first = explainer.explain(**options, **tensors[0])
        last = channels_last.explain(**options, **tensors[1])
        assert first.predictions == last.predictions
        np.testing.assert_array_equal(first.explanations[0].heatmap, last.explanations[0].heatmap)


def test_a_graph_without_fixed_size_takes_any() -> None:
    explainer = load(TinyGraph(size=None))
    value = tensor(size=24)[:, :, :20]
    assert explainer.explain(tensor=value).explanations[0].heatmap.shape == (20, 24)


def test_heatmaps_come_back_in_the_photos_frame() -> None:
    """A bright square on black, seen through resize, crop and camera rotation, is found where it is."""
    graph = TinyGraph(
        size=32,
        steps=[
            pb.GeometryStep(resize_shorter_side=pb.ResizeShorterSide(size=40, filter=pb.FILTER_BICUBIC)),
            pb.GeometryStep(center_crop=pb.CenterCrop(height=32, width=32)),
        ],
    )
    graph.kernel = np.full_like(graph.kernel, 0.1)  # every channel sees brightness
    graph.linear = np.ones_like(graph.linear)
    explainer = load(graph)
    upright = np.zeros((120, 200, 3), np.uint8)
    upright[30:46, 110:126] = 255
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(upright)))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held sideways
    buffer = io.BytesIO()
    stored.save(buffer, "PNG", exif=exif)

    result = explainer.explain(buffer.getvalue())
    assert result.photo is not None
    np.testing.assert_array_equal(result.photo, upright)
    heatmap = result.explanations[0].heatmap
    assert heatmap.shape == (120, 200)
    row, column = np.unravel_index(np.argmax(heatmap), heatmap.shape)
    assert abs(int(row) - 37.5) <= 6
    assert abs(int(column) - 117.5) <= 6
    assert (heatmap[:, :45] == 0).all(), "left of the crop nothing was seen"
    assert result.explanations[0].input_heatmap.shape == (32, 32)


@pytest.mark.parametrize("switch", [True, False])
def test_graphs_without_gradients_or_with_a_switch(switch: bool) -> None:
    explainer = load(TinyGraph(gradients=False, explain_switch=switch))
    explanation = explainer.explain(tensor=tensor()).explanations[0]
    np.testing.assert_allclose(
        explanation.weights[0], Truth(TINY, tensor()).weights(explanation.target.class_index), rtol=1e-5
    )
    with pytest.raises(UnsupportedError, match="layer-cam needs the full gradients of last"):
        explainer.explain(tensor=tensor(), method="layer-cam")


def test_a_batch_of_different_requests_equals_single_ones(explainer: Explainer) -> None:
    plans = [
        explainer.plan(Request(targets=[Target.index(1)])),
        explainer.plan(Request(top_k=3, method="hires-cam", layers=["conv"])),
        explainer.plan(Request(targets=[Target.index(0, contrast=Target.index(2))])),
    ]
    subjects = [explainer.accept(tensor(seed)) for seed in range(3)]
    inferences = explainer.infer(subjects, plans)
    results = [explainer.finish(*one) for one in zip(plans, subjects, inferences, strict=True)]
    alone = [
        explainer.explain(tensor=tensor(0), targets=[Target.index(1)]),
        explainer.explain(tensor=tensor(1), top_k=3, method="hires-cam", layers=["conv"]),
        explainer.explain(tensor=tensor(2), targets=[Target.index(0, contrast=Target.index(2))]),
    ]
    for batched, single in zip(results, alone, strict=True):
        assert len(batched.explanations) == len(single.explanations)
        for one, two in zip(batched.explanations, single.explanations, strict=True):
            assert one.target.class_index == two.target.class_index
            np.testing.assert_allclose(one.heatmap, two.heatmap, atol=1e-5)


def test_empty_constant_and_broken_maps_are_told_apart() -> None:
    graph = TinyGraph()
    graph.linear = -np.abs(graph.linear)
    empty = load(graph).explain(tensor=tensor())
    assert empty.explanations[0].statistics.all_nonpositive
    assert any("heatmap is empty" in warning for warning in empty.warnings)

    graph.linear = np.abs(graph.linear)
    graph.kernel = np.zeros_like(graph.kernel)
    constant = load(graph).explain(tensor=tensor())
    assert constant.explanations[0].statistics.constant
    assert constant.warnings

    broken = tensor()
    broken[0, 0, 3, 3] = np.nan
    with np.errstate(invalid="ignore"):
        result = load(TINY).explain(tensor=broken, targets=[Target.index(0)])
    assert result.explanations[0].statistics.nonfinite
    assert any("do not trust" in warning for warning in result.warnings)


def test_a_panel_of_a_result(explainer: Explainer, tmp_path: Path) -> None:
    result = explainer.explain(PHOTO, top_k=2, colormap="viridis")
    picture = result.panel(name="photo.png")
    result.save_panel(tmp_path / "panel.png", name="photo.png")
    assert (tmp_path / "panel.png").read_bytes() == encode_png(picture)
    assert picture.ndim == 3
    assert picture.shape[1] > 3 * 200


def test_timings_are_measured(explainer: Explainer) -> None:
    timings = explainer.explain(PHOTO).timings
    assert min(timings.decode_ms, timings.preprocess_ms, timings.inference_ms, timings.postprocess_ms) > 0


def test_one_explainer_serves_many_threads(explainer: Explainer) -> None:
    expected = {seed: explainer.explain(tensor=tensor(seed)).explanations[0].heatmap for seed in range(4)}
    wrong: list[int] = []

    def work(seed: int) -> None:
        for _ in range(10):
            heatmap = explainer.explain(tensor=tensor(seed)).explanations[0].heatmap
            if not np.array_equal(heatmap, expected[seed]):
                wrong.append(seed)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in expected]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert not any(worker.is_alive() for worker in workers)
    assert wrong == []


def test_it_takes_paths_and_engines_and_closes(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(TINY.serialize())
    with Explainer(path, threads=ONE) as explainer:
        assert isinstance(explainer.explain(PHOTO), Result)
    with pytest.raises(InferenceError, match="closed"):
        explainer.explain(PHOTO)
    assert Explainer(Engine(path, threads=ONE)).layers == ["features", "conv"]


def test_a_heatmap_that_nobody_reads_is_not_made(explainer: Explainer, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    make = explanations._heatmap
    monkeypatch.setattr(explanations, "_heatmap", lambda *given: made.append("heatmap") or make(*given))
    [explanation] = explainer.explain(PHOTO).explanations
    assert explanation.raw_map.shape == (8, 8)
    assert made == []
    assert explanation.input_heatmap.shape == (16, 16)
    assert explanation.overlay_png
    assert explanation.heatmap.shape == PHOTO.shape[:2]
    assert made == ["heatmap"]
