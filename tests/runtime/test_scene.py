"""Scenes that are explained window by window."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from camgraph_core.errors import InvalidInputError, UnsupportedError, UsageError
from camgraph_core.request import Request
from camgraph_exporter import Input, export
from camgraph_runtime import Explainer, Limits, SceneExplainer, Target
from camgraph_runtime.maps.placement import Placement
from camgraph_runtime.maps.profiles import on_input
from camgraph_runtime.scene.mosaic import Grid
from camgraph_runtime.scene.source import open_scene
from camgraph_runtime.scene.windows import weights_of, windows_over
from camgraph_runtime.tasks.detection import Detection
from support.nets import Net
from support.rasters import tiff

BANDS, CLASSES = 4, 3
RNG = np.random.default_rng(0)


def land_cover() -> onnx.ModelProto:
    """Logits [N, 3, H, W] of any size; the layer has cells of 2 x 2 pixels and sees 7 to each side."""
    net = Net(seed=3)
    x = net.image(("N", BANDS, "H", "W"))
    stem = net.node("Relu", net.conv(x, (BANDS, 8), strides=[2, 2]), name="stem")
    last = net.node("Relu", net.conv(stem, (8, 8)), name="last")
    wide = net.node("Resize", last, "", net.weight(np.array([1, 1, 2, 2], np.float32)), mode="nearest")
    logits = net.conv(net.node("Relu", net.conv(wide, (8, 8))), (8, CLASSES), kernel=1, name="logits")
    return net.model(logits, shapes={logits: ("N", CLASSES, "H", "W")})


def scene_classifier() -> onnx.ModelProto:
    net = Net(seed=1)
    stem = net.node("Relu", net.conv(net.image(("N", BANDS, 32, 32)), (BANDS, 8), strides=[2, 2]), name="stem")
    last = net.node("Relu", net.conv(stem, (8, 16)), name="last")
    output = net.node("Softmax", net.pooled_head(last, 16, CLASSES), name="probabilities", axis=1)
    return net.model(output, shapes={output: ("N", CLASSES)})


STATED = Input(divisor=1, mean=[0.0] * BANDS, std=[1.0] * BANDS, value_range=(-3, 3), resize="none")


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Explainer:
    return _explainer(land_cover(), tmp_path_factory.mktemp("seg"), input=STATED, task="segmentation")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Explainer:
    return _explainer(scene_classifier(), tmp_path_factory.mktemp("cls"), input=STATED)


def _explainer(model: onnx.ModelProto, folder: Path, **options: Any) -> Explainer:
    onnx.save(model, folder / "net.onnx")
    export(folder / "net.onnx", folder / "cam.onnx", **options)
    return Explainer(folder / "cam.onnx")


def laid(explainer: Explainer, cells: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map on the pixels of the network's input."""
    [layer] = explainer.manifest.layers
    return on_input(cells, size, Placement.of_layer(layer, size, (cells.shape[0], cells.shape[1])))


def drawn(height: int, width: int) -> np.ndarray:
    """Blotches of 16 pixels with noise, so that every class wins somewhere."""
    coarse = RNG.standard_normal((-(-height // 16), -(-width // 16), BANDS))
    blotches = np.kron(coarse, np.ones((16, 16, 1)))[:height, :width]
    return (blotches + 0.3 * RNG.standard_normal((height, width, BANDS))).astype(np.float32)


@pytest.mark.parametrize(
    ("size", "tile", "overlap"), [((192, 256), 96, 48), ((160, 160), 96, 32), ((130, 190), 80, 40)]
)
@pytest.mark.parametrize("index", range(CLASSES))
def test_the_map_of_a_convolutional_net_is_that_of_the_whole_scene(
    segmenter: Explainer, size: tuple[int, int], tile: int, overlap: int, index: int
) -> None:
    """Also in the seams: the outer quarter of an overlap, which sees the edge of a window, does not count."""
    image = drawn(*size)
    asked: dict[str, Any] = {"targets": [Target.index(index)], "method": "hires-cam"}
    whole = segmenter.explain(image, **asked).explanations[0]
    scene = SceneExplainer(segmenter, tile=tile, overlap=overlap).explain(image, **asked).explanations[0]
    assert scene.raw_map.shape == size
    cells = whole.raw_map
    expected = laid(segmenter, cells, size)
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(scene.raw_map, expected, atol=1e-4 * np.abs(cells).max())
    # The heatmap of one image is cut at zero before it is laid on the pixels, that of a scene after that.
    assert np.abs(scene.heatmap - whole.heatmap).mean() < 0.01


@pytest.mark.parametrize(("size", "tile", "overlap"), [((192, 256), 96, 48), ((130, 190), 80, 40)])
@pytest.mark.parametrize(("without_data", "within"), [(0, 1e-6), (33, 1e-2)])
def test_areas_are_those_of_the_whole_scene(
    segmenter: Explainer, size: tuple[int, int], tile: int, overlap: int, without_data: int, within: float
) -> None:
    """Where windows overlap, also the last one by more than the others, a pixel counts once.

    What has no data is filled by the mean of the window, or of the scene, and changes what the network sees beside it.
    """
    image = drawn(*size)
    image[:, :without_data] = np.nan
    whole = segmenter.explain(image, top_k=CLASSES)
    scene = SceneExplainer(segmenter, tile=tile, overlap=overlap).explain(image, top_k=CLASSES)
    assert [row.class_index for row in scene.predictions] == [row.class_index for row in whole.predictions]
    of_targets = [[item.target for item in result.explanations] for result in (scene, whole)]
    for found, expected in [*zip(scene.predictions, whole.predictions, strict=True), *zip(*of_targets, strict=True)]:
        assert found.area == pytest.approx(expected.area, abs=within)
        assert found.probability == pytest.approx(expected.probability, abs=within)
    assert sum(row.area or 0 for row in scene.predictions) == pytest.approx(1)


@pytest.mark.parametrize(
    ("size", "tile", "overlap"),
    [((192, 256), 96, 48), ((130, 190), 80, 40), ((130, 190), 128, 64), ((160, 160), 96, 32)],
)
def test_scores_are_sums_over_the_pixels_of_the_scene_each_once(
    segmenter: Explainer, size: tuple[int, int], tile: int, overlap: int
) -> None:
    """So they do not depend on the windows of a net that takes images of any size."""
    image = drawn(*size)
    whole = segmenter.explain(image, top_k=CLASSES)
    scene = SceneExplainer(segmenter, tile=tile, overlap=overlap).explain(image, top_k=CLASSES)
    for found, expected in zip(scene.predictions, whole.predictions, strict=True):
        assert found.score == pytest.approx(expected.score, rel=1e-4)
    for item, whole_item in zip(scene.explanations, whole.explanations, strict=True):
        assert item.target.score == pytest.approx(whole_item.target.score, rel=1e-4)
    contrast = [Target.index(0, contrast=Target.index(1))]
    held = SceneExplainer(segmenter, tile=tile, overlap=overlap).explain(image, targets=contrast).explanations[0]
    [against] = segmenter.explain(image, targets=contrast).explanations
    assert held.contrast is not None
    assert against.contrast is not None
    assert held.contrast.score == pytest.approx(against.contrast.score, rel=1e-4)


@pytest.mark.parametrize(("tile", "overlap"), [(96, 48), (80, 40)])
@pytest.mark.parametrize("numbers", [1, 3])
def test_numbers_are_means_over_the_pixels_of_the_scene_each_once(
    tmp_path: Path, numbers: int, tile: int, overlap: int
) -> None:
    net = Net(seed=4)
    hidden = net.node("Relu", net.conv(net.image(("N", BANDS, "H", "W")), (BANDS, 8)), name="hidden")
    output = net.conv(hidden, (8, numbers), kernel=1, name="numbers")
    model = net.model(output, shapes={output: ("N", numbers, "H", "W")})
    explainer = _explainer(model, tmp_path, input=STATED, task="dense-regression")
    image = drawn(130, 190) + np.linspace(-1, 1, 190, dtype=np.float32)[:, None]  # so that means of windows differ
    targets = [Target.index(index) for index in (range(numbers) if numbers > 1 else (0, 1))]
    whole = explainer.explain(image, targets=targets)
    scene = SceneExplainer(explainer, tile=tile, overlap=overlap).explain(image, targets=targets)
    for found, expected in zip(scene.predictions, whole.predictions, strict=True):
        assert found.value == pytest.approx(expected.value, rel=1e-4, abs=1e-5)
    for item, whole_item in zip(scene.explanations, whole.explanations, strict=True):
        assert item.target.value == pytest.approx(whole_item.target.value, rel=1e-4, abs=1e-5)
        assert item.target.score == pytest.approx(whole_item.target.score, rel=1e-4, abs=1e-5)
    usual = SceneExplainer(explainer, tile=tile, overlap=overlap).explain(image).explanations[0]
    assert usual.target.class_index == explainer.explain(image).explanations[0].target.class_index
    assert usual.heatmap.shape == (130, 190)


def test_what_has_no_data_does_not_count_in_areas(segmenter: Explainer) -> None:
    image = drawn(96, 96)
    image[:, :48] = np.nan
    alone = segmenter.explain(image[:, 48:])
    for row in segmenter.explain(image).predictions:
        [same] = [item for item in alone.predictions if item.class_index == row.class_index]
        assert row.area == pytest.approx(same.area, abs=0.02)  # the network sees across the edge


def test_classes_of_the_scene_are_means_over_its_windows(classifier: Explainer) -> None:
    image = drawn(64, 96)
    scene = SceneExplainer(classifier, tile=32, overlap=0).explain(image, top_k=CLASSES)
    windows = [classifier.explain(image[top : top + 32, left : left + 32]) for top in (0, 32) for left in (0, 32, 64)]
    for score in scene.predictions:
        of_windows = [
            next(row for row in window.predictions if row.class_index == score.class_index) for window in windows
        ]
        assert score.probability == pytest.approx(np.mean([row.probability for row in of_windows]), rel=1e-5)
        assert score.score == pytest.approx(np.mean([row.score for row in of_windows]), rel=1e-5)
    shown = [row.class_index for row in scene.predictions]
    assert [item.target.class_index for item in scene.explanations] == shown
    probabilities = [row.probability for row in scene.predictions]
    assert probabilities == sorted(probabilities, reverse=True)


def test_windows_of_a_classifier_keep_the_strength_of_their_evidence(classifier: Explainer) -> None:
    """Each window by itself would be scaled to 1: its weakest evidence would glow as the strongest."""
    image = drawn(32, 96)
    image[:, 32:64] *= 0.05
    scene = SceneExplainer(classifier, tile=32, overlap=0).explain(image, targets=[Target.index(1)])
    raw = scene.explanations[0].raw_map
    for number in range(3):
        part = slice(32 * number, 32 * number + 32)
        alone = classifier.explain(image[:, part], targets=[Target.index(1)]).explanations[0]
        np.testing.assert_allclose(raw[:, part], laid(classifier, alone.raw_map, (32, 32)), atol=1e-6)
    assert scene.explanations[0].heatmap.max() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("fraction", [1, 2, 3, 5])
@pytest.mark.parametrize(("size", "tile", "overlap"), [((100, 70), 32, 8), ((33, 257), 40, 20), ((20, 10), 64, 32)])
def test_windows_cover_every_cell_and_no_edge_of_them_counts(
    size: tuple[int, int], tile: int, overlap: int, fraction: int
) -> None:
    grid = Grid(size, fraction, overlap)
    total, seen = np.zeros(grid.cells), np.zeros(size, bool)
    for window in windows_over(size, tile, overlap, fraction):
        assert not any(part.start % fraction for part in window)
        weights = weights_of(window, size, overlap, fraction)
        assert total[grid.of(window)].shape == weights.shape
        total[grid.of(window)] += weights
        seen[window] = True
    assert seen.all()
    assert (total > 0).all()


def test_pictures_and_maps_are_kept_at_a_fraction_and_boxes_are_in_pixels_of_the_scene(segmenter: Explainer) -> None:
    image = drawn(200, 301)
    scene = SceneExplainer(segmenter, tile=64, overlap=16).explain(image, max_side=100, top_k=1)
    found = scene.explanations[0]
    assert scene.image_size == (301, 200)
    assert max(found.heatmap.shape) == 75  # cells of 4 pixels, as 100 cells of 3 would be one too many
    assert max(found.overlay().shape) == 75
    assert all(region.box.right <= 301 and region.box.bottom <= 200 for region in found.hot_regions)
    assert any(region.box.right > 150 for region in found.hot_regions)
    assert "pictures and maps have 1/4 of its size." in scene.warnings[0]
    assert scene.panel().ndim == 3


def test_windows_without_data_are_left_out(segmenter: Explainer) -> None:
    image = drawn(128, 128)
    image[:, 64:] = np.nan
    done: list[tuple[int, int]] = []
    scenes = SceneExplainer(segmenter, tile=32, overlap=0, progress=lambda *count: done.append(count))
    scene = scenes.explain(image, targets=[Target.index(0)])
    assert done == [(number, 16) for number in range(1, 17)]
    assert (scene.explanations[0].heatmap[:, 64:] == 0).all()
    assert scene.photo is not None
    assert (scene.photo[:, 64:] == 0).all()
    assert "50.0% of the scene has no data and is left unpainted." in scene.warnings
    whole = SceneExplainer(segmenter, tile=32, overlap=0).explain(image[:, :64], targets=[Target.index(0)])
    np.testing.assert_allclose(scene.explanations[0].raw_map[:, :64], whole.explanations[0].raw_map, atol=1e-6)
    with pytest.raises(InvalidInputError, match="The scene has no data"):
        scenes.explain(np.full_like(image, np.nan))


@pytest.mark.parametrize("form", ["tif", "npy"])
def test_a_scene_is_read_a_window_at_a_time(segmenter: Explainer, form: str, tmp_path: Path) -> None:
    image = np.tile((drawn(256, 256) * 1000).astype(np.int16), (8, 8, 1))
    path = tmp_path / f"scene.{form}"
    if form == "tif":
        path.write_bytes(tiff(image, tile=(128, 128), compression="deflate"))
    else:
        np.save(path, image)
    scenes = SceneExplainer(segmenter, tile=256, overlap=32)
    scenes.explain(path, max_side=64, targets=[Target.index(0)])  # everything is loaded after that
    tracemalloc.start()
    try:
        scenes.explain(path, max_side=64, targets=[Target.index(0)])
        assert tracemalloc.get_traced_memory()[1] < image.nbytes / 2
    finally:
        tracemalloc.stop()


def test_a_scene_may_have_more_pixels_than_an_image(segmenter: Explainer, tmp_path: Path) -> None:
    image = drawn(96, 96)
    (tmp_path / "scene.tif").write_bytes(tiff(image))
    small = Explainer(segmenter.engine, limits=Limits(max_pixels=5000))
    with pytest.raises(InvalidInputError, match="the limit is 5000"):
        small.explain(tmp_path / "scene.tif")
    assert SceneExplainer(small, tile=32, overlap=16).explain(tmp_path / "scene.tif").image_size == (96, 96)


def test_photos_are_scenes_too(tmp_path: Path) -> None:
    net = Net(seed=1)
    last = net.node("Relu", net.conv(net.image(("N", 3, 32, 32)), (3, 8)), name="last")
    explainer = _explainer(net.model(net.pooled_head(last, 8)), tmp_path, input=Input.preset("zero-one"))
    photo = RNG.integers(0, 256, (70, 90, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    scene = SceneExplainer(explainer, tile=32, overlap=8).explain(tmp_path / "photo.png", top_k=2)
    np.testing.assert_array_equal(scene.photo, photo)
    assert len(scene.explanations) == 2
    ramp = np.linspace(0, 4000, 90, dtype=np.uint16)[None].repeat(70, axis=0)
    dark = SceneExplainer(explainer, tile=32, overlap=8).explain(ramp)
    np.testing.assert_array_equal(dark.photo[:, :, 0], np.rint(ramp / 257))  # all windows on one scale
    assert any("read as a dark one" in warning for warning in dark.warnings)
    with pytest.raises(UsageError, match="each window would be spread by itself"):
        SceneExplainer(explainer, tile=32, overlap=8).explain(photo.astype(np.float32))
    assert SceneExplainer(explainer, tile=32, overlap=8).explain(photo.astype(np.float32), window=(0, 255)).explanations


@pytest.mark.parametrize(
    ("options", "asked", "said"),
    [
        ({"tile": 4}, {}, "must have 8 at least"),
        ({"tile": 64, "overlap": 33}, {}, "overlap by 0 to 32 pixels, not by 33"),
        ({}, {"profile": "raw"}, "A scene has one heatmap"),
        ({}, {"bank": True}, "not of a scene"),
        ({}, {"targets": [Target.index(0, place=None), Target.parse("-9")]}, "none of rank 9"),
        ({}, {"tensor": np.zeros((1, BANDS, 8, 8), np.float32)}, "A scene is an image"),
    ],
)
def test_what_a_scene_cannot_be_asked_is_said(
    segmenter: Explainer, options: dict[str, int], asked: dict[str, Any], said: str
) -> None:
    image = None if "tensor" in asked else drawn(64, 64)
    with pytest.raises((UsageError, InvalidInputError), match=said):
        SceneExplainer(segmenter, **options).explain(image, **asked)


def test_a_scene_of_a_detector_is_refused(segmenter: Explainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmenter, "task", Detection(segmenter.manifest))
    with pytest.raises(UnsupportedError, match="crop the scene"):
        SceneExplainer(segmenter)


@pytest.mark.parametrize("content", [b"", b"II*\0", b"\x93NUMPY\1\0", b"II*\0" + b"\xff" * 400, b"no image"])
def test_a_damaged_scene_ends_in_a_sentence(segmenter: Explainer, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "scene").write_bytes(content)
    with pytest.raises(InvalidInputError):
        open_scene(tmp_path / "scene", segmenter.manifest.input, Request(), max_pixels=1000)
