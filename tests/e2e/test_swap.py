"""An `Explainer` can be swapped for a model of a server: the same call, values, pictures and errors, field by field."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from camgraph_client import AsyncClient, Client
from camgraph_core.errors import AbsentOutputError, CamgraphError, InvalidInputError, TargetError, UsageError
from camgraph_core.outputs import OUTPUTS
from camgraph_core.png import encode_png
from camgraph_core.result import Result
from camgraph_runtime import Explainer, Target
from camgraph_runtime.maps.cam import METHODS
from camgraph_runtime.pictures.jpeg import encode_jpeg
from camgraph_runtime.pictures.overlay import overlay
from camgraph_runtime.preprocess import decode
from support.compare import assert_same
from support.serving import photo, png, server_thread, write_model

Explain = Callable[..., Result]

PLAIN = [name for name, row in OUTPUTS.items() if not row.needs_guided]
OF_A_TENSOR = [name for name in PLAIN if not OUTPUTS[name].needs_photo]
TENSOR = np.random.default_rng(3).normal(size=(1, 3, 16, 16)).astype(np.float32)
PHOTO = png(48, 40, seed=5)
LARGE = encode_jpeg(photo(301, 419))

CASES: dict[str, dict[str, Any]] = {
    "nothing but an image": {},
    "every output": {"outputs": PLAIN},
    "every output of guided Grad-CAM": {"outputs": list(OUTPUTS), "method": "guided-grad-cam"},
    "every way to name a target": {
        "targets": [
            *(Target.index(3), Target.of_label("DOG"), Target.of_rank(2), Target()),
            Target.of_label("cat", contrast=Target.index(1)),
            Target.index(0, negative=True),
        ],
        "top_k": 2,
    },
    "fused layers": {"layers": ["last", "conv"], "outputs": PLAIN},
    "the raw map": {"profile": "raw", "outputs": ["raw-map", "heatmap", "input-heatmap"], "top_k": 3},
    "other colours": {"outputs": PLAIN, "colormap": "turbo", "image_weight": 0.2, "jpeg_quality": 30, "png_level": 9},
    "small": {"outputs": list(OUTPUTS), "method": "guided-grad-cam", "max_side": 17, "top_k": 2},
    "smaller than the photo is not larger": {"outputs": PLAIN, "max_side": 4000},
    "a fraction of a JPEG": {"image": LARGE, "scaled_decoding": True, "max_side": 70, "outputs": PLAIN},
    "a JPEG in full, as a picture of its size needs it": {"image": LARGE, "scaled_decoding": True, "outputs": PLAIN},
    "no predictions": {"num_predictions": 0, "request_id": "r"},
    "a tensor": {"image": None, "tensor": TENSOR, "outputs": OF_A_TENSOR, "top_k": 2},
    "a small map of a tensor": {"image": None, "tensor": TENSOR, "outputs": OF_A_TENSOR, "max_side": 5},
    "a window": {"image": np.arange(16 * 16).reshape(16, 16).astype(np.uint16) * 9, "window": (100, 1500)},
    **{f"the method {name}": {"method": name, "layers": ["conv"], "outputs": PLAIN} for name in METHODS},
}

REFUSED: dict[str, dict[str, Any]] = {
    "an unknown class": {"targets": [Target.index(9)]},
    "an unknown label": {"targets": [Target.of_label("dgo")]},
    "too many classes": {"top_k": 6},
    "fewer than no classes": {"top_k": -1},
    "too many targets": {"targets": [Target()] * 101},
    "an unknown layer": {"layers": ["nowhere"]},
    "an unknown method": {"method": "gradcam"},
    "an unknown profile": {"profile": "pretty"},
    "an unknown output": {"outputs": ["picture"]},
    "an unknown colour map": {"colormap": "rainbow"},
    "a weight out of range": {"image_weight": 2.0},
    "a quality out of range": {"jpeg_quality": 0},
    "a level out of range": {"png_level": 10},
    "a side of nothing": {"max_side": 0},
    "fewer than no predictions": {"num_predictions": -1},
    "two layers of a raw map": {"layers": ["features", "conv"], "profile": "raw"},
    "a picture of a raw map": {"profile": "raw", "outputs": ["overlay-png"]},
    "an overlay of a tensor": {"image": None, "tensor": TENSOR, "outputs": ["overlay-jpeg"]},
    "a guided map of Grad-CAM": {"outputs": ["guided"]},
    "a contrast of guided Grad-CAM": {"method": "guided-grad-cam", "targets": [Target(negative=True)]},
    "neither an image nor a tensor": {"image": None},
    "both": {"tensor": TENSOR},
    "a window of a tensor": {"image": None, "tensor": TENSOR, "window": (0, 1)},
    "a window of no width": {"window": (5, 5)},
    "a tensor of another shape": {"image": None, "tensor": TENSOR[:, :, :8]},
    "a tensor of another type": {"image": None, "tensor": TENSOR.astype(np.float64)},
    "two images in a tensor": {"image": None, "tensor": np.concatenate([TENSOR, TENSOR])},
    "not an image": {"image": b"text"},
    "nothing": {"image": b""},
    "a file that is not there": {"image": "nowhere.png"},
    "an array of one axis": {"image": np.zeros(5, np.uint8)},
    "a mask for a classifier": {"targets": [Target.direction(np.ones(3))]},
}


WORDED_BY_EACH = {
    "a file that is not there",  # who sends it reads it, and says why that failed
    "too many targets",  # a server counts them before it builds them
}


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def explainer(graph: Path) -> Explainer:
    return Explainer(graph)


@pytest.fixture(scope="module")
def address(graph: Path) -> Iterator[str]:
    with server_thread(graph.parents[2]) as server:
        yield server.address


@pytest.fixture(scope="module", params=["sync", "async"])
def remote(request: pytest.FixtureRequest, address: str) -> Iterator[Explain]:
    """`explain` of the model of a server."""

    async def awaited(*arguments: Any, **options: Any) -> Result:
        async with AsyncClient(address).model("tiny") as model:
            return await model.explain(*arguments, **options)

    if request.param == "async":
        yield lambda *arguments, **options: asyncio.run(awaited(*arguments, **options))
    else:
        with Client(address).model("tiny") as model:
            yield model.explain


@pytest.mark.parametrize("case", CASES)
def test_the_same_values(explainer: Explainer, remote: Explain, case: str) -> None:
    options = {"image": PHOTO, **CASES[case]}
    there, here = remote(**options), explainer.explain(**options)
    assert_same(there, here, options.get("outputs", ["heatmap"]))
    if here.photo is not None:
        np.testing.assert_array_equal(there.photo, here.photo)


@pytest.mark.parametrize("case", REFUSED)
def test_the_same_errors(explainer: Explainer, remote: Explain, case: str) -> None:
    options = {"image": PHOTO, **REFUSED[case]}
    with pytest.raises(CamgraphError) as here:
        explainer.explain(**options)
    with pytest.raises(CamgraphError) as there:
        remote(**options)
    assert type(there.value) is type(here.value)
    if case not in WORDED_BY_EACH:
        assert str(there.value) == str(here.value)


@pytest.mark.parametrize("outputs", [["input-heatmap"], ["heatmap"], ["heatmap", "overlay-jpeg"]], ids=str)
def test_the_same_pictures_from_a_heatmap_and_the_photo_that_was_sent(
    explainer: Explainer, remote: Explain, outputs: list[str], tmp_path: Path
) -> None:
    there, here = remote(PHOTO, outputs=outputs, top_k=2), explainer.explain(PHOTO, top_k=2)
    for got, wanted in zip(there.explanations, here.explanations, strict=True):
        for style in ({}, {"colormap": "inferno", "image_weight": 0.7}):
            np.testing.assert_array_equal(got.overlay(**style), wanted.overlay(**style))
            got.save(tmp_path / "got.png", **style)
            wanted.save(tmp_path / "wanted.png", **style)
            assert (tmp_path / "got.png").read_bytes() == (tmp_path / "wanted.png").read_bytes()
    there.save_panel(tmp_path / "got.png", name="a photo")
    here.save_panel(tmp_path / "wanted.png", name="a photo")
    assert (tmp_path / "got.png").read_bytes() == (tmp_path / "wanted.png").read_bytes()


def test_another_size_needs_the_map_of_the_input(explainer: Explainer, remote: Explain) -> None:
    [full], [whole] = remote(PHOTO).explanations, remote(PHOTO, outputs=["input-heatmap"]).explanations
    [local] = explainer.explain(PHOTO).explanations
    np.testing.assert_array_equal(whole.overlay(max_side=20), local.overlay(max_side=20))
    np.testing.assert_array_equal(whole.heatmap_within(20), local.heatmap_within(20))
    with pytest.raises(AbsentOutputError, match="name 'input-heatmap' in outputs="):
        full.overlay(max_side=20)


def test_without_a_heatmap_the_overlay_is_the_one_that_came(explainer: Explainer, remote: Explain) -> None:
    [local] = explainer.explain(PHOTO, colormap="viridis").explanations
    [exact] = remote(PHOTO, outputs=["overlay-png"], colormap="viridis").explanations
    np.testing.assert_array_equal(exact.overlay(), local.overlay())
    [lossy] = remote(PHOTO, outputs=["overlay-jpeg"], colormap="viridis").explanations
    np.testing.assert_array_equal(lossy.overlay(), decode(local.overlay_jpeg, max_pixels=10_000))
    for explanation in (exact, lossy):
        with pytest.raises(AbsentOutputError, match="name it in outputs="):
            explanation.overlay(colormap="jet")


def test_a_guided_picture_comes_from_what_came(explainer: Explainer, remote: Explain) -> None:
    [local] = explainer.explain(PHOTO, method="guided-grad-cam").explanations
    for outputs in (["guided"], ["guided-png"]):
        [got] = remote(PHOTO, method="guided-grad-cam", outputs=outputs).explanations
        np.testing.assert_array_equal(got.guided_picture(), local.guided_picture())


def of_mode(mode: str) -> Image.Image:
    image = Image.fromarray(photo(20, 14))
    if mode == "F":
        return Image.fromarray(np.arange(280, dtype=np.float32).reshape(14, 20))
    if mode == "I;16":
        return Image.fromarray((np.arange(280) * 200).astype(np.uint16).reshape(14, 20))
    if mode == "turned":
        image.getexif()[0x0112] = 6
        return image
    return image.convert(mode)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F", "turned"])
def test_images_of_pillow(explainer: Explainer, remote: Explain, mode: str) -> None:
    there, here = remote(of_mode(mode)), explainer.explain(of_mode(mode))
    assert_same(there, here)
    np.testing.assert_array_equal(there.photo, here.photo)


@pytest.mark.parametrize(
    "pixels",
    [
        photo(20, 14),
        photo(20, 14)[:, :, 0],
        photo(20, 14)[:, :, :1],
        np.dstack([photo(20, 14), photo(20, 14, seed=1)[:, :, 0]]),
        (photo(20, 14) * 2.5).astype(np.float32),
        photo(20, 14).astype(np.uint16) * 100,
        photo(20, 14).astype(np.uint16) * 257 + 3,
        photo(20, 14).astype(np.uint16)[:, :, 0] * 16 + 5,
        photo(20, 14)[::-1, ::2],
    ],
    ids=lambda pixels: f"{pixels.dtype}{pixels.shape}",
)
def test_arrays_of_pixels(explainer: Explainer, remote: Explain, pixels: np.ndarray) -> None:
    there, here = remote(pixels), explainer.explain(pixels)
    assert_same(there, here)
    np.testing.assert_array_equal(there.photo, here.photo)
    np.testing.assert_array_equal(there.explanations[0].overlay(), here.explanations[0].overlay())


def test_results_can_be_sent_to_other_processes(explainer: Explainer, remote: Explain) -> None:
    options = {"outputs": ["heatmap"], "top_k": 2}
    local = explainer.explain(PHOTO, **options)
    for result in (local, remote(PHOTO, **options)):
        drawn = result.explanations[1].overlay()
        copy = pickle.loads(pickle.dumps(result))
        np.testing.assert_array_equal(copy.explanations[1].overlay(), drawn)
        np.testing.assert_array_equal(copy.explanations[1].heatmap, local.explanations[1].heatmap)
        np.testing.assert_array_equal(copy.photo, local.photo)


def test_in_one_process_outputs_limit_nothing(explainer: Explainer) -> None:
    [explanation] = explainer.explain(PHOTO, outputs=["weights"], image_weight=0.3).explanations
    expected = overlay(photo(48, 40, seed=5), explanation.heatmap, image_weight=0.3)
    assert explanation.overlay_png == encode_png(expected)
    with Image.open(BytesIO(explanation.overlay_jpeg)) as picture:
        assert picture.size == (48, 40)


def test_errors_are_of_their_kind() -> None:
    assert issubclass(AbsentOutputError, UsageError)
    assert issubclass(AbsentOutputError, AttributeError)
    assert issubclass(TargetError, InvalidInputError)
