"""Numbers of pixels: what is taken as a quantity and what as a mask, in each layout, and what the numbers say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidInputError, TargetError, UnsupportedError
from camgraph_core.place import Mask, Place, Point, Polygon, Region
from camgraph_exporter.errors import ScoreError
from camgraph_runtime import Explainer, Target
from support.exporting import in_memory
from support.nets import Net
from support.tasks import export_model, load

SIDE = 16
SEEN = np.random.default_rng(3).normal(size=(1, 3, SIDE, SIDE)).astype(np.float32)


def network(last: str, name: str, *, channels: int = 1, layout: str = "first") -> onnx.ModelProto:
    """An encoder and a decoder, whose output is made by the operator `last`."""
    net = Net(seed=2)
    small = net.node("Relu", net.conv(net.image(("N", 3, SIDE, SIDE)), (3, 8), strides=[2, 2]), name="small")
    up = net.node("ConvTranspose", small, net.random(8, 8, 2, 2), kernel_shape=[2, 2], strides=[2, 2])
    raw = net.conv(net.node("Relu", up), (8, channels), name="raw" if last or layout != "first" else name)
    shape: tuple[int | str, ...] = ("N", channels, SIDE, SIDE)
    made = net.node(last, raw, name="made" if layout != "first" else name) if last else raw
    if layout == "flat":
        made, shape = net.node("Squeeze", made, net.ints(1), name=name), ("N", SIDE, SIDE)
    elif layout == "last":
        made, shape = net.node("Transpose", made, perm=[0, 2, 3, 1], name=name), ("N", SIDE, SIDE, channels)
    return net.model(made, shapes={made: shape})


@pytest.mark.parametrize(
    ("last", "name", "layout", "task", "reason"),
    [
        ("", "output", "first", "segmentation", "nothing says that it is a quantity"),
        ("", "object_mask", "first", "segmentation", "its name speaks of 'mask'"),
        ("", "depth_map", "first", "dense-regression", "its name speaks of 'depth'"),
        ("", "disparity", "flat", "dense-regression", "its name speaks of 'disparity'"),
        ("Relu", "output", "first", "dense-regression", "it cannot be negative"),
        ("Softplus", "output", "flat", "dense-regression", "it cannot be negative"),
        ("Exp", "output", "last", "dense-regression", "it cannot be negative"),
        ("Sigmoid", "output", "first", "segmentation", ""),
    ],
)
def test_a_map_of_one_number_is_said_to_be_what_it_was_taken_for(
    tmp_path: Path, last: str, name: str, layout: str, task: str, reason: str
) -> None:
    manifest = in_memory(network(last, name, layout=layout), tmp_path).manifest
    assert pb.Task.Name(manifest.task) == f"TASK_{task.replace('-', '_').upper()}"
    other = {"segmentation": "dense-regression", "dense-regression": "segmentation"}[task]
    told = [note for note in manifest.notes if "one number per pixel" in note]
    if not reason:
        assert told == []
        return
    assert len(told) == 1
    assert reason in told[0]
    assert f"({task.replace('-', ' ')})" in told[0]
    assert told[0].endswith(f"state --task {other}.")


@pytest.fixture(scope="module", params=["first", "last", "flat"])
def depth(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Explainer:
    folder = tmp_path_factory.mktemp("depth")
    onnx.save(network("Softplus", "depth", layout=request.param), folder / "net.onnx")
    export_model(folder / "net.onnx", folder / "cam.onnx", "--preset", "raw")
    return load(folder / "cam.onnx")


def numbers(explainer: Explainer, output: str = "depth") -> np.ndarray:
    none = {"target": np.array([[1]]), "mask": np.zeros((1, 1, SIDE, SIDE), np.uint8)}
    return explainer.engine.run({"image": SEEN, **none}, [output])[output].squeeze()


def test_the_mean_is_that_of_the_pixels_that_count(depth: Explainer) -> None:
    values, mask = numbers(depth), np.zeros((SIDE, SIDE), np.uint8)
    mask[2:7, 3:12] = 1
    places: list[Place | None] = [None, Mask(mask), Polygon([(3, 2), (12, 2), (12, 7), (3, 7)]), Point(3.5, 2.5)]
    counted = [np.ones_like(mask), mask, mask, np.zeros_like(mask)]
    counted[3][2, 3] = 1
    result = depth.explain(tensor=SEEN, targets=[Target(place=place) for place in places])
    assert [item.value for item in result.predictions] == [pytest.approx(values.mean())]
    for explanation, place, cells in zip(result.explanations, places, counted, strict=True):
        assert explanation.target.value == pytest.approx(values[cells == 1].mean(), rel=1e-5)
        assert explanation.target.score == pytest.approx(values[cells == 1].sum(), rel=1e-5)
        assert explanation.target.area == pytest.approx(cells.mean())
        assert (explanation.target.label, explanation.method) == ("more", "hires-cam")
        if place is None:
            assert explanation.mask is None
        else:
            np.testing.assert_array_equal(explanation.mask, cells)
    less = depth.explain(tensor=SEEN, targets=[Target.of_label("less", place=Mask(mask))]).explanations[0]
    np.testing.assert_array_equal(less.weights[0], -result.explanations[1].weights[0])


def test_several_numbers_per_pixel_are_named_in_their_own_order(tmp_path: Path) -> None:
    onnx.save(network("", "flow", channels=2), tmp_path / "net.onnx")
    (tmp_path / "labels.txt").write_text("across\ndown")
    export_model(
        tmp_path / "net.onnx", tmp_path / "cam.onnx", "--preset", "raw", "--task", "dense-regression", "--labels",
        tmp_path / "labels.txt",
    )  # fmt: skip  # a command, in rows of its own
    explainer = load(tmp_path / "cam.onnx")
    values = numbers(explainer, "flow")
    result = explainer.explain(tensor=SEEN, targets=[Target.of_label("down"), Target(), Target.of_rank(2)])
    assert [item.target.label for item in result.explanations] == ["down", "across", "down"]
    assert [item.value for item in result.predictions] == pytest.approx(values.mean(axis=(1, 2)).tolist(), rel=1e-5)
    with pytest.raises(TargetError, match="no target 2: the model gives 2 numbers"):
        explainer.explain(tensor=SEEN, targets=[Target.index(2)])
    with pytest.raises(UnsupportedError, match=r"names a region, which takes a graph for segmentation; this"):
        explainer.explain(tensor=SEEN, targets=[Target(place=Region(1))])


def test_what_is_no_map_of_numbers_is_refused(tmp_path: Path) -> None:
    net = Net(seed=1)
    row = net.pooled_head(net.node("Relu", net.conv(net.image(), (3, 8))), 8)
    with pytest.raises(ScoreError, match="not one number for each pixel"):
        in_memory(net.model(row), tmp_path, task="dense-regression")


GRID, ROWS, LANES = 5, 4, 2


@pytest.fixture(scope="module")
def lanes(tmp_path_factory: pytest.TempPathFactory) -> Explainer:
    """Row anchors: in each row of the image the column in which a lane lies, from a linear layer over the whole map."""
    net, folder = Net(seed=4), tmp_path_factory.mktemp("lanes")
    small = net.node("Relu", net.conv(net.image(("N", 3, SIDE, SIDE)), (3, 8), strides=[4, 4]), name="small")
    flat = net.linear(net.node("Flatten", small, axis=1), 8 * 16, GRID * ROWS * LANES)
    found = net.node("Reshape", flat, net.ints(-1, GRID, ROWS, LANES), name="lanes")
    onnx.save(net.model(found, shapes={found: ("N", GRID, ROWS, LANES)}), folder / "net.onnx")
    export_model(folder / "net.onnx", folder / "cam.onnx", "--preset", "raw")
    return load(folder / "cam.onnx")


def test_a_lane_detector_is_explained_by_cells(lanes: Explainer) -> None:
    [note] = [note for note in lanes.manifest.notes if "not a map of the image" in note]
    assert "their 4 rows and 2 columns may be the rows and lanes of a lane detector" in note
    cell = np.zeros((ROWS, LANES), np.uint8)
    cell[2, 1] = 1
    none = {"target": np.array([[1]]), "mask": np.zeros((1, 1, ROWS, LANES), np.uint8)}
    scores = lanes.engine.run({"image": SEEN, **none}, ["lanes"])["lanes"][0]
    [explanation] = lanes.explain(tensor=SEEN, targets=[Target.index(3, place=Mask(cell))]).explanations
    assert explanation.target.score == pytest.approx(scores[3, 2, 1], rel=1e-5)
    assert explanation.marked is None
    best = int(np.bincount(scores.argmax(axis=0).ravel(), minlength=GRID).argmax())
    assert lanes.explain(tensor=SEEN).explanations[0].target.class_index == best


@pytest.mark.parametrize(
    "place", [Polygon([(0, 0), (9, 0), (9, 9)]), Point(3, 3), Region(1)], ids=lambda place: type(place).__name__
)
def test_no_place_of_a_photo_names_cells_that_lie_nowhere(lanes: Explainer, place: Place) -> None:
    name = type(place).__name__.lower()
    with pytest.raises(UnsupportedError, match=rf"not a map of the image, so a {name} names none .* a mask of 2 x 4"):
        lanes.explain(tensor=SEEN, targets=[Target(place=place)])


def test_a_mask_of_the_photo_is_refused_where_scores_lie_nowhere(lanes: Explainer) -> None:
    with pytest.raises(InvalidInputError, match="The mask is 16 x 16, but the score map 2 x 4"):
        lanes.explain(tensor=SEEN, targets=[Target(place=Mask(np.ones((SIDE, SIDE))))])
