"""Masks: where they land on the score map, what they sum up, and how classes are listed by area."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidGraphError, InvalidInputError, NotInImageError
from camgraph_core.frame import Axis, Frame
from camgraph_core.place import Mask, Point
from camgraph_core.request import Request
from camgraph_runtime import Explainer, Target
from camgraph_runtime.manifest import Manifest
from camgraph_runtime.manifest_check import check_graph
from camgraph_runtime.maps.placement import Placement
from camgraph_runtime.preprocess import decode_mask
from camgraph_runtime.tasks.marking import ScoreMap
from camgraph_runtime.tasks.pixel_values import read_pixels
from camgraph_runtime.tasks.predicted_regions import PredictedRegions
from camgraph_runtime.tasks.segmentation import Segmentation
from support.nets import Net
from support.tasks import SIDE, export_model, export_task, load

CROP = ("--resize", "shorter-side", "--shorter-side", "32", "--divisor", "255", "--mean", "0.5", "--std", "0.25")
PHOTO = np.random.default_rng(2).integers(0, 256, (64, 96, 3), np.uint8)
TENSOR = np.random.default_rng(4).normal(size=(1, 3, SIDE, SIDE)).astype(np.float32)


@pytest.fixture(scope="module")
def cropping(tmp_path_factory: pytest.TempPathFactory) -> Explainer:
    """Photos are scaled to a shorter side of 32 and cropped to 32 x 32: of 64 x 96, columns 16 to 80 are seen."""
    return load(export_task("segmentation", tmp_path_factory.mktemp("cropping"), *CROP))


def logits_of(explainer: Explainer, tensor: np.ndarray) -> np.ndarray:
    """Of a softmax only differences are seen: the scores less their mean."""
    none = {"target": np.zeros((1, 1), np.int64), "mask": np.zeros((1, 1, SIDE, SIDE), np.uint8)}
    logs = np.log(explainer.engine.run({"image": tensor, **none}, ["probabilities"])["probabilities"][0])
    return logs.astype(np.float64)


def laid(explainer: Explainer, mask: np.ndarray, photo: np.ndarray = PHOTO) -> np.ndarray:
    plan = explainer.plan(Request(targets=[Target.index(0, place=Mask(mask))]))
    [slot] = explainer.fit(plan, explainer.prepare(photo)).slots
    assert isinstance(slot.place, Mask)
    return slot.place.array


def test_a_mask_of_the_photo_lands_through_resize_and_crop(cropping: Explainer) -> None:
    mask = np.zeros((64, 96), np.uint8)
    mask[16:32, 40:60] = 7
    expected = np.zeros((SIDE, SIDE), np.uint8)
    expected[8:16, 12:22] = 1
    np.testing.assert_array_equal(laid(cropping, mask), expected)


def test_a_mask_is_cut_at_the_crop(cropping: Explainer) -> None:
    mask = np.zeros((64, 96), np.uint8)
    mask[:, :20] = 1
    expected = np.zeros((SIDE, SIDE), np.uint8)
    expected[:, :2] = 1
    np.testing.assert_array_equal(laid(cropping, mask), expected)


def test_a_mask_of_the_score_maps_size_is_taken_as_it_is(cropping: Explainer) -> None:
    mask = np.random.default_rng(1).integers(0, 2, (SIDE, SIDE), np.uint8)
    np.testing.assert_array_equal(laid(cropping, mask), mask)


def test_a_photo_that_was_taken_sideways_has_its_mask_upright(cropping: Explainer) -> None:
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(PHOTO))).save(buffer, "PNG", exif=exif)
    mask = np.zeros((64, 96), np.uint8)
    mask[16:32, 40:60] = 1
    turned = cropping.explain(buffer.getvalue(), targets=[Target.index(1, place=Mask(mask))]).explanations[0]
    upright = cropping.explain(PHOTO, targets=[Target.index(1, place=Mask(mask))]).explanations[0]
    assert turned.target == upright.target
    assert turned.target.area == 8 * 10 / SIDE**2
    np.testing.assert_array_equal(turned.heatmap, upright.heatmap)


def test_letterboxed_padding_is_outside_every_mask(tmp_path: Path) -> None:
    explainer = load(export_task("segmentation", tmp_path, "--resize", "letterbox", "--preset", "raw"))
    mask = laid(explainer, np.ones((64, 96), np.uint8))
    rows = np.flatnonzero(mask.any(axis=1))
    height = round(64 * SIDE / 96)
    top = (SIDE - height) // 2
    assert (rows[0], rows[-1]) == (top, top + height - 1)
    assert mask[top : top + height].all()


@pytest.mark.parametrize("cells", [5, 16, 32, 50])
def test_nearest_takes_the_pixel_below_each_cells_centre(cells: int) -> None:
    axis = Axis(96, 32, scale=0.5, offset=-8.0)
    found, inside = axis.pixels((np.arange(cells) + 0.5) * (32 / cells))
    for cell in range(cells):
        position = ((cell + 0.5) * 32 / cells + 8) / 0.5
        assert inside[cell] == (0 <= position < 96)
        if inside[cell]:
            assert found[cell] == int(position)


def test_cells_beside_the_photo_are_outside() -> None:
    frame = Frame(Axis(4, 8, offset=2.0), Axis(8, 8))
    expected = np.zeros((8, 8), np.uint8)
    expected[2:6] = 1
    middles = np.arange(8) + 0.5
    np.testing.assert_array_equal(frame.nearest(np.ones((4, 8), np.uint8), middles, middles), expected)


def test_a_point_at_the_edge_is_in_no_region() -> None:
    """Rows 5 to 26 of the input show the photo: of the cell of rows 24 to 28, no more than a half."""
    task = Segmentation(Manifest(head=pb.Head(num_classes=3)))
    frame = Frame(Axis(64, 32, scale=21 / 64, offset=5.0), Axis(64, 32, scale=0.5))
    score_map = ScoreMap(frame, Placement.over_input((32, 32), (8, 8)))
    regions = PredictedRegions(task, np.ones((8, 8), np.int64), score_map)
    assert regions.meant(Target(place=Point(32, 55))).selector == 1
    with pytest.raises(NotInImageError, match="The point 32, 63 lies at the edge of what the network sees"):
        regions.meant(Target(place=Point(32, 63)))


def test_the_score_is_the_sum_under_the_mask(cropping: Explainer) -> None:
    mask = np.random.default_rng(6).integers(0, 2, (SIDE, SIDE), np.uint8)
    targets = [Target.index(index, place=Mask(mask)) for index in range(3)]
    scores = [e.target.score for e in cropping.explain(tensor=TENSOR, targets=targets).explanations]
    sums = (logits_of(cropping, TENSOR) * mask).sum(axis=(1, 2))
    np.testing.assert_allclose(np.diff(scores), np.diff(sums), rtol=1e-4)


def test_without_a_mask_a_class_is_taken_where_it_wins(cropping: Explainer) -> None:
    winner = logits_of(cropping, TENSOR).argmax(axis=0)
    masks = [(winner == index).astype(np.uint8) for index in range(3)]
    implicit = cropping.explain(tensor=TENSOR, targets=[Target.index(i) for i in range(3)]).explanations
    zeros = np.zeros((SIDE, SIDE), np.uint8)
    empty = cropping.explain(tensor=TENSOR, targets=[Target.index(i, place=Mask(zeros)) for i in range(3)]).explanations
    asked = cropping.explain(
        tensor=TENSOR, targets=[Target.index(i, place=Mask(masks[i])) for i in range(3)]
    ).explanations
    for one, two, three in zip(implicit, empty, asked, strict=True):
        np.testing.assert_array_equal(one.heatmap, two.heatmap)
        np.testing.assert_allclose(one.weights[0], three.weights[0], rtol=1e-4, atol=1e-7)
        assert one.target == two.target
        assert one.target.area == three.target.area


def test_classes_are_listed_by_area_with_their_mean_probability(cropping: Explainer) -> None:
    logits = logits_of(cropping, TENSOR)
    winner, probabilities = logits.argmax(axis=0), np.exp(logits)
    areas = np.bincount(winner.ravel(), minlength=3) / winner.size
    result = cropping.explain(tensor=TENSOR, targets=[Target.of_rank(2)])
    order = [int(index) for index in np.argsort(-areas, kind="stable") if areas[index] > 0]
    assert len(order) > 1
    assert [p.class_index for p in result.predictions] == order
    for prediction in result.predictions:
        index = prediction.class_index
        assert prediction.area == pytest.approx(areas[index])
        assert prediction.probability == pytest.approx(probabilities[index][winner == index].mean(), rel=1e-5)
    target = result.explanations[0].target
    assert target.class_index == order[1]
    assert target == result.predictions[1], "known from the target, the score is exact"
    assert np.isnan(result.predictions[0].score), "a softmax hides the others"
    assert "% of the area" in target.note
    assert len(cropping.predict(tensor=TENSOR, num_predictions=1).predictions) == 1


def test_a_class_that_wins_nowhere_is_warned_of(cropping: Explainer) -> None:
    flat = np.zeros((1, 3, SIDE, SIDE), np.float32)  # one class wins (nearly) everywhere
    areas = np.bincount(logits_of(cropping, flat).argmax(axis=0).ravel(), minlength=3)
    loser = int(areas.argmin())
    assert areas[loser] == 0
    result = cropping.explain(tensor=flat, targets=[Target.index(loser)])
    assert result.explanations[0].target.area == 0
    assert not result.explanations[0].heatmap.any()
    assert "wins no pixel of the image" in result.warnings[0]
    assert not any("does not depend on the layer" in warning for warning in result.warnings)


def test_masks_that_mark_nothing_that_is_seen_are_refused(cropping: Explainer) -> None:
    cropped = np.zeros((64, 96), np.uint8)
    cropped[:, :10] = 1
    with pytest.raises(InvalidInputError, match="covers no pixel of the score map"):
        laid(cropping, cropped)
    with pytest.raises(
        InvalidInputError, match="The mask is 20 x 10, but the image is 96 x 64 and the score map 32 x 32"
    ):
        laid(cropping, np.ones((10, 20), np.uint8))


@pytest.fixture(scope="module", params=["mid", "enc"])
def any_size(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Explainer:
    """A graph for inputs of any size; its score map has half the size, rounded down, as the layer `mid` has."""
    net = Net(seed=3)
    enc = net.node("Relu", net.conv(net.image(("N", 3, "H", "W")), (3, 8)), name="enc")
    down = net.node("MaxPool", enc, kernel_shape=[2, 2], strides=[2, 2])
    mid = net.node("Relu", net.conv(down, (8, 16)), name="mid")
    model = net.model(net.conv(mid, (16, 3), kernel=1, name="half"), shapes={"half": ("N", 3, "h", "w")})
    folder = tmp_path_factory.mktemp("any_size")
    onnx.save(model, folder / "source.onnx")
    export_model(folder / "source.onnx", folder / "half.onnx", "--layer", request.param)
    return load(folder / "half.onnx")


@pytest.mark.parametrize(("height", "width"), [(32, 48), (33, 41), (64, 64)])
def test_graphs_for_any_size_find_their_score_map(any_size: Explainer, height: int, width: int) -> None:
    tensor = np.random.default_rng(8).normal(size=(1, 3, height, width)).astype(np.float32)
    mask = np.random.default_rng(9).integers(0, 2, (height, width), np.uint8)
    rows, columns = (((np.arange(n // 2) + 0.5) * n / (n // 2)).astype(int) for n in (height, width))
    cells = mask[rows[:, None], columns]
    targets = [Target.index(1, place=Mask(mask)), Target.index(1, place=Mask(cells))]
    result = any_size.explain(tensor=tensor, targets=targets)
    by_pixels, by_cells = result.explanations
    assert by_pixels.target == by_cells.target
    assert by_cells.target.area == pytest.approx(cells.mean())
    assert sum(p.area or 0 for p in result.predictions) == pytest.approx(1)


def test_masks_are_laid_without_running_the_graph(any_size: Explainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(any_size.engine, "run", None)
    plan = any_size.plan(Request(targets=[Target.index(1), Target.index(1, place=Mask(np.ones((33, 41))))]))
    fitted = any_size.fit(plan, any_size.accept(np.zeros((1, 3, 33, 41), np.float32)))
    assert [slot.place for slot in fitted.slots] == [
        Mask(cells, on_scores=True) for cells in (np.zeros((16, 20)), np.ones((16, 20)))
    ]


def test_an_image_without_a_pixel_on_the_score_map_is_refused(any_size: Explainer) -> None:
    with pytest.raises(InvalidInputError, match="1 x 33 pixels is too small for this model"):
        any_size.explain(tensor=np.zeros((1, 3, 33, 1), np.float32))


def test_a_manifest_without_the_size_of_the_score_map_is_refused(any_size: Explainer) -> None:
    manifest = Manifest()
    manifest.CopyFrom(any_size.manifest)
    manifest.target.ClearField("mask_size")
    with pytest.raises(InvalidGraphError, match="a graph for segmentation, but leaves out"):
        check_graph(Segmentation(manifest), any_size.engine)


class TestReading:
    """Outputs of segmentation models, as they come."""

    SCORES = np.random.default_rng(9).normal(size=(3, 4, 5)).astype(np.float32)

    @staticmethod
    def manifest(kind: pb.HeadKind, classes: int = 3, *, single: bool = False, last: bool = False) -> pb.Manifest:
        head = pb.Head(score_tensor="y", output_name="out", kind=kind, num_classes=classes, single_logit=single)
        layout = pb.LAYOUT_NHWC if last else pb.LAYOUT_NCHW
        return pb.Manifest(head=head, input=pb.InputSpec(layout=layout))

    def test_scores_become_probabilities(self) -> None:
        for output in (self.SCORES, self.SCORES.transpose(1, 2, 0)):
            values = read_pixels(output, self.manifest(pb.HEAD_KIND_NONE), (4, 5))
            assert values is not None
            np.testing.assert_array_equal(values.winner, self.SCORES.argmax(axis=0))
            np.testing.assert_allclose(values.probabilities.sum(axis=0), 1, rtol=1e-6)
            np.testing.assert_array_equal(values.scores, self.SCORES)

    @pytest.mark.parametrize("last", [False, True])
    def test_where_both_orders_fit_the_inputs_decides(self, last: bool) -> None:
        cube = np.random.default_rng(1).normal(size=(3, 3, 3)).astype(np.float32)
        output = cube.transpose(1, 2, 0) if last else cube
        values = read_pixels(output, self.manifest(pb.HEAD_KIND_NONE, last=last), (3, 3))
        assert values is not None
        np.testing.assert_array_equal(values.scores, cube)

    def test_log_probabilities(self) -> None:
        logs = self.SCORES - np.log(np.exp(self.SCORES).sum(axis=0))
        values = read_pixels(logs, self.manifest(pb.HEAD_KIND_LOG_SOFTMAX), (4, 5))
        assert values is not None
        assert values.scores is None
        np.testing.assert_allclose(values.probabilities, np.exp(logs))

    @pytest.mark.parametrize("shape", [(4, 5), (1, 4, 5), (4, 5, 1)])
    def test_one_channel_is_two_classes(self, shape: tuple[int, ...]) -> None:
        logit = self.SCORES[0]
        probability = (1 / (1 + np.exp(-logit))).reshape(shape)
        values = read_pixels(probability, self.manifest(pb.HEAD_KIND_SIGMOID, 2, single=True), (4, 5))
        assert values is not None
        np.testing.assert_array_equal(values.winner, (logit > 0).astype(int))
        np.testing.assert_allclose(values.scores, [-logit, logit], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(values.probabilities.sum(axis=0), 1, rtol=1e-6)

    def test_a_map_of_winners_has_areas_only(self) -> None:
        winner = self.SCORES.argmax(axis=0)
        values = read_pixels(winner[None], self.manifest(pb.HEAD_KIND_NONE), (4, 5))
        assert values is not None
        assert values.scores is None
        assert values.probabilities is None
        np.testing.assert_array_equal(values.winner, winner)

    @pytest.mark.parametrize("shape", [(2, 4, 5), (3, 5, 4), (60,), (3, 20)])
    def test_anything_else_is_not_read(self, shape: tuple[int, ...]) -> None:
        assert read_pixels(np.zeros(shape, np.float32), self.manifest(pb.HEAD_KIND_NONE), (4, 5)) is None


@pytest.mark.parametrize(
    ("mode", "inside", "outside"),
    [
        ("L", 1, 0),
        ("1", 1, 0),
        ("I;16", 300, 0),
        ("P", 3, 0),
        ("RGB", (0, 0, 9), (0, 0, 0)),
        ("RGBA", (255, 255, 255, 9), (255, 255, 255, 0)),
        ("RGBA", (1, 0, 0, 255), (0, 0, 0, 255)),
        ("LA", (9, 255), (0, 255)),
    ],
)
def test_pictures_of_masks(mode: str, inside: object, outside: object) -> None:
    picture = Image.new(mode, (6, 4), outside)
    if mode == "P":
        picture.putpalette([255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0])  # colours mean nothing, indices do
    for x in (2, 3):
        picture.putpixel((x, 1), inside)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    expected = np.zeros((4, 6), np.uint8)
    expected[1, 2:4] = 1
    np.testing.assert_array_equal(decode_mask(buffer.getvalue(), max_pixels=100), expected)
    with pytest.raises(InvalidInputError, match="24 pixels, but the limit is 23"):
        decode_mask(buffer.getvalue(), max_pixels=23)


def test_a_damaged_mask(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(PHOTO).save(buffer, "PNG")
    with pytest.raises(InvalidInputError, match="The mask is damaged"):
        decode_mask(buffer.getvalue()[:-4000], max_pixels=10_000)
    with pytest.raises(InvalidInputError, match="cannot be read"):
        decode_mask(tmp_path / "none.png", max_pixels=10_000)
