"""Images of many bands from export to overlay: in this process, over gRPC and on the command line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from camgraph_client import Client
from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_core.result import Result
from camgraph_exporter import Input
from camgraph_runtime import Explainer
from support.exporting import camgraph, exported
from support.image_models import classifier
from support.rasters import tiff
from support.serving import server_thread

NAMES = ("B02", "B03", "B04", "B08", "B11", "B12")
SIDE = 16
HEIGHT, WIDTH = 40, 56
HOLE = (slice(10, 25), slice(20, 44))


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graph")
    stated = Input(divisor=10_000, mean=[0.12] * 6, std=[0.1] * 6, bands=NAMES, value_range=(0, 10_000))
    exported(classifier(None, ("N", 6, SIDE, SIDE), channels=6), folder, input=stated)
    return folder / "cam.onnx"


@pytest.fixture(scope="module")
def there(graph: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("models")
    shutil.copy(graph, folder / "land.onnx")
    with server_thread(folder) as server, Client(server.address) as client:
        yield client.model(), server.address


def scene(nothing: float | None = None) -> np.ndarray:
    image = (np.random.default_rng(0).random((HEIGHT, WIDTH, 6)) * 3000 + 200).astype(np.float32)
    if nothing is not None:
        image[HOLE] = nothing
    return image


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def opened(result: Result) -> np.ndarray:
    return result.explanations[0].overlay(opacity="even")


def test_what_has_no_data_is_left_unpainted_and_the_rest_is_explained(graph: Path) -> None:
    explainer = Explainer(graph)
    found = explainer.explain(scene(np.nan))
    filled = scene()
    filled[HOLE] = 1200  # the mean of training, in units of the image
    expected = explainer.explain(filled)
    here, whole = found.explanations[0], expected.explanations[0]
    assert here.target.score == pytest.approx(whole.target.score, rel=1e-6)
    np.testing.assert_array_equal(here.raw_map, whole.raw_map)
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[HOLE] = True
    assert (here.heatmap[inside] == 0).all()
    assert whole.heatmap[inside].max() > 0.1
    far = inside.copy()  # a pixel of the network's input takes three or four of the image
    far[HOLE[0].start - 4 : HOLE[0].stop + 4, HOLE[1].start - 4 : HOLE[1].stop + 4] = True
    np.testing.assert_array_equal(here.heatmap[~far], whole.heatmap[~far])
    assert found.photo is not None
    assert (opened(found)[inside] == found.photo[inside]).all()
    assert not (opened(found)[~inside] == found.photo[~inside]).all(axis=1).any()
    assert any("360 pixels have no data and are left unpainted (16.1% of the image)" in text for text in found.warnings)


@pytest.mark.parametrize("form", ["npy", "tiff", "pixels"])
def test_a_server_gives_the_same_and_its_client_draws_the_same(graph: Path, there: Any, form: str) -> None:
    image = scene(-9999)
    source: Any = tiff(image, nodata="-9999") if form == "tiff" else image
    asked: dict[str, Any] = {} if form == "tiff" else {"nodata": -9999}
    if form == "npy":
        asked["display_bands"], asked["stretch"] = ("B12", "B08", "B04"), (5, 95)
    here = Explainer(graph).explain(source, **asked)
    far = there[0].explain(source, outputs=["input-heatmap", "overlay-png"], **asked)
    assert far.warnings == here.warnings
    np.testing.assert_array_equal(far.photo, here.photo)
    np.testing.assert_array_equal(far.explanations[0].heatmap_within(None), here.explanations[0].heatmap)
    np.testing.assert_array_equal(opened(far), opened(here))
    assert far.explanations[0].overlay_png == here.explanations[0].overlay_png


def test_a_tensor_has_pictures_of_the_bands_that_are_named(graph: Path, there: Any) -> None:
    tensor = np.random.default_rng(1).standard_normal((1, 6, SIDE, SIDE)).astype(np.float32)
    explainer = Explainer(graph)
    with pytest.raises(InvalidInputError, match="An overlay needs a photo"):
        explainer.explain(tensor=tensor, outputs=["overlay-png"])
    asked: dict[str, Any] = {"display_bands": ("B04", "B03", "B02"), "stretch": (0, 100)}
    here = explainer.explain(tensor=tensor, **asked)
    assert here.image_size == (SIDE, SIDE)
    assert here.photo is not None
    for place, band in enumerate((2, 1, 0)):
        values = tensor[0, band]
        expected = 255 * (values - values.min()) / (values.max() - values.min())
        np.testing.assert_allclose(here.photo[:, :, place], expected, atol=0.51)
    far = there[0].explain(tensor=tensor, outputs=["input-heatmap", "overlay-png"], **asked)
    np.testing.assert_array_equal(opened(far), opened(here))
    assert far.explanations[0].overlay_png == here.explanations[0].overlay_png
    with pytest.raises(UsageError, match="A value for no data is for an image"):
        explainer.explain(tensor=tensor, nodata=0)


@pytest.mark.parametrize("where", ["graph", "server"])
def test_the_command_line_takes_rasters_and_tensors(where: str, graph: Path, there: Any, tmp_path: Path) -> None:
    source = ["--graph", graph] if where == "graph" else ["--server", there[1]]
    (tmp_path / "scene.tif").write_bytes(tiff(scene(-9999), compression="deflate"))
    options = ["--nodata", "-9999", "--display-bands", "B08,B04,B03", "--stretch", "1,99"]
    done = camgraph("explain", tmp_path / "scene.tif", *source, "-o", tmp_path / "out", *options)
    assert done.exit_code == 0, done.output
    assert "Pictures show bands B08, B04 and B03 of 6" in done.stdout
    assert "360 pixels have no data" in " ".join(done.stdout.split())
    [overlay] = (tmp_path / "out").glob("scene.1-*.png")
    assert size_of(overlay) == (WIDTH, HEIGHT)
    tensor = np.random.default_rng(1).standard_normal((1, 6, SIDE, SIDE)).astype(np.float32)
    np.save(tmp_path / "ready.npy", tensor)
    np.savez(tmp_path / "ready.npz", tensor)
    for name in ("ready.npy", "ready.npz"):
        done = camgraph("explain", tmp_path / name, "--tensor", *source, "-o", tmp_path / name.replace(".", "_"))
        assert done.exit_code == 0, done.output
        [overlay] = (tmp_path / name.replace(".", "_")).glob("ready.1-*.png")
        assert size_of(overlay) == (SIDE, SIDE)
    report = ["--json", tmp_path / "all.json"]
    both = [tmp_path / "ready.npy", tmp_path / "ready.npz"]
    done = camgraph("explain", *both, "--tensor", *source, "-o", tmp_path / "both", *report)
    assert done.exit_code == 0, done.output


def test_a_tensor_that_is_none_is_said(graph: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "ready.npy", np.zeros((1, 6, SIDE, SIDE), np.float32))
    for name, content, said in (
        ("photo.png", b"\x89PNG", "is not a NumPy file. A ready input tensor comes as .npy or .npz."),
        ("half.npy", (tmp_path / "ready.npy").read_bytes()[:1000], "is incomplete"),
    ):
        (tmp_path / name).write_bytes(content)
        done = camgraph("explain", tmp_path / name, "--tensor", "--graph", graph, "-o", tmp_path / "out")
        assert done.exit_code == 1
        assert said in done.stderr
    done = camgraph("explain", tmp_path / "ready.npy", "--graph", graph, "-o", tmp_path / "out")
    assert "A ready input tensor goes in by `tensor=`, or on the command line with --tensor." in done.stderr
