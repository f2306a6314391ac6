"""A `ClipExplainer` can be swapped for a model of a server: the same call, values, pictures and errors."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from camgraph_client import AsyncClient, Client, ClipResult
from camgraph_core.errors import AbsentOutputError, CamgraphError, InvalidInputError
from camgraph_core.outputs import OUTPUTS
from camgraph_core.style import Style
from camgraph_exporter import Input, export
from camgraph_runtime import ClipExplainer, Target
from support.clips import FRAMES, HEIGHT, WIDTH, moving, write_clip_graph
from support.compare import assert_same
from support.nets import Net
from support.serving import server_thread, write_model

PLAIN = [name for name, row in OUTPUTS.items() if not row.needs_guided]
OF_A_TENSOR = [name for name in PLAIN if not OUTPUTS[name].needs_photo]
RANDOM = np.random.default_rng(0).integers(0, 256, (FRAMES, 40, 60, 3), np.uint8)
TENSOR = np.random.default_rng(3).random((1, 3, FRAMES, HEIGHT, WIDTH)).astype(np.float32)
TALL = (np.random.default_rng(1).random((6, 16, 16)) * 3000).astype(np.uint16)
BANDS = np.random.default_rng(2).normal(size=(4, 16, 16, 5)).astype(np.float32)

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "nothing but a clip": ("rgb", {}),
    "every output": ("rgb", {"outputs": PLAIN}),
    "other pixels": ("rgb", {"clip": RANDOM, "outputs": PLAIN, "top_k": 2}),
    "small pictures": (
        "rgb",
        {"clip": RANDOM, "outputs": PLAIN, "style": Style(max_side=17, colormap="turbo", opacity="heat")},
    ),
    "more frames than it takes": ("rgb", {"clip": moving(3 * FRAMES)}),
    "fewer frames than it takes": ("rgb", {"clip": moving(3)}),
    "every way to name a target": (
        "rgb",
        {"targets": [Target.index(1), Target.of_rank(1, contrast=Target.index(1)), Target(negative=True)], "top_k": 1},
    ),
    "another method": ("rgb", {"method": "layer-cam", "outputs": PLAIN}),
    "no predictions": ("rgb", {"num_predictions": 0, "request_id": "r"}),
    "pictures of a list": ("rgb", {"clip": list(RANDOM[:5]) + [Image.fromarray(RANDOM[5])] * 3, "outputs": PLAIN}),
    "a tensor": ("rgb", {"clip": None, "tensor": TENSOR, "outputs": OF_A_TENSOR, "top_k": 2}),
    "a volume of 16 bits": ("volume", {"clip": TALL, "outputs": PLAIN}),
    "a volume with a window": ("volume", {"clip": TALL, "window": (0, 1000), "outputs": PLAIN}),
    "two streams, as channels that are stored": ("streams", {"clip": BANDS, "outputs": PLAIN}),
}

REFUSED: dict[str, dict[str, Any]] = {
    "an unknown class": {"targets": [Target.index(9)]},
    "an unknown method": {"method": "gradcam"},
    "an unknown output": {"outputs": ["picture"]},
    "an overlay of a tensor": {"clip": None, "tensor": TENSOR, "outputs": ["overlay-png"]},
    "a tensor of another shape": {"clip": None, "tensor": TENSOR[:, :, :4]},
    "a tensor of an image": {"clip": None, "tensor": TENSOR[:, :, 0]},
    "neither a clip nor a tensor": {"clip": None},
    "both": {"tensor": TENSOR},
    "a part of what is no video": {"start": 1.0},
    "a window of no width": {"clip": TALL, "window": (5, 5)},
    "no frames": {"clip": []},
    "frames of two sizes": {"clip": [RANDOM[0]] * 7 + [RANDOM[0, :30]]},
    "a frame that is none": {"clip": [b"text"] * FRAMES},
    "a file that is not there": {"clip": "nowhere.mp4"},
    "an array of two axes": {"clip": TALL[0]},
}

Explain = Callable[..., ClipResult]


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A classifier of clips in colour, one of volumes, and one of channels that are stored."""
    folder = tmp_path_factory.mktemp("made")
    paths = {"rgb": write_clip_graph(folder)}
    for name, channels, frames in (("volume", 1, 6), ("streams", 5, 4)):
        net = Net()
        x = net.node("Conv", net.image(("N", channels, frames, 16, 16)), net.random(4, channels, 3, 3, 3), pads=[1] * 6)
        model = net.model(net.pooled_head(net.node("Relu", x, name="map"), 4), shapes={"logits": ("N", 5)})
        paths[name] = folder / f"{name}.onnx"
        export(model, paths[name], input=Input(divisor=255, mean=(0,), std=(1,), resize="stretch"))
    return paths


@pytest.fixture(scope="module")
def address(graphs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    repository = tmp_path_factory.mktemp("models")
    for name, path in graphs.items():
        (repository / name / "1").mkdir(parents=True)
        shutil.copy(path, repository / name / "1" / "model.onnx")
    write_model(repository)
    with server_thread(repository) as server:
        yield server.address


@pytest.fixture(scope="module", params=["sync", "async", "chunked"])
def remote(request: pytest.FixtureRequest, address: str) -> Callable[..., ClipResult]:
    """`explain` of a model of a server."""

    async def awaited(name: str, **options: Any) -> ClipResult:
        async with AsyncClient(address).clip_model(name) as model:
            return await model.explain(**options)

    def called(name: str, **options: Any) -> ClipResult:
        with Client(address).clip_model(name, chunked=request.param == "chunked") as model:
            return model.explain(**options)

    return (lambda name, **options: asyncio.run(awaited(name, **options))) if request.param == "async" else called


@pytest.mark.parametrize("case", CASES)
def test_the_same_values(graphs: dict[str, Path], remote: Explain, case: str) -> None:
    name, stated = CASES[case]
    options = {"clip": moving(), **stated}
    there = remote(name, **options)
    with ClipExplainer(graphs[name]) as explainer:
        here = explainer.explain(**options)
    assert_same(there, here, options.get("outputs", ["heatmap"]))
    assert (there.taken, there.numbers) == (here.taken, here.numbers)
    for one, two in zip(there.canvases, here.canvases, strict=True):
        np.testing.assert_array_equal(one.photo, two.photo)


@pytest.mark.parametrize("case", REFUSED)
def test_the_same_errors(graphs: dict[str, Path], remote: Explain, case: str) -> None:
    options = {"clip": moving(), **REFUSED[case]}
    with ClipExplainer(graphs["rgb"]) as explainer, pytest.raises(CamgraphError) as here:
        explainer.explain(**options)
    with pytest.raises(CamgraphError) as there:
        remote("rgb", **options)
    assert (type(there.value), str(there.value)) == (type(here.value), str(here.value))


@pytest.mark.parametrize("outputs", [["heatmap"], ["input-heatmap"]])
def test_pictures_are_drawn_from_what_came(
    graphs: dict[str, Path], remote: Explain, outputs: list[str], tmp_path: Path
) -> None:
    there = remote("rgb", clip=RANDOM, outputs=outputs)
    with ClipExplainer(graphs["rgb"]) as explainer:
        here = explainer.explain(RANDOM)
    for one, two in zip(there.explanations[0].overlays(), here.explanations[0].overlays(), strict=True):
        np.testing.assert_array_equal(one, two)
    for result, name in ((there, "there.gif"), (here, "here.gif")):
        result.explanations[0].save(tmp_path / name)
    assert (tmp_path / "there.gif").read_bytes() == (tmp_path / "here.gif").read_bytes()


def test_a_video_is_cut_here_and_its_frames_are_sent(graphs: dict[str, Path], remote: Explain, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed (extra `video`), so there are no videos.")
    from support.videos import write_video  # noqa: PLC0415 - it needs PyAV

    video = write_video(tmp_path / "clip.mp4", list(moving(3 * FRAMES)))
    options = {"clip": video, "start": 0.5, "end": 2.0, "outputs": ["heatmap", "overlay-png"]}
    with ClipExplainer(graphs["rgb"]) as explainer:
        here = explainer.explain(**options)
    there = remote("rgb", **options)
    assert_same(there, here, ["heatmap", "overlay-png"])
    assert there.seconds == here.seconds
    assert there.explanations[0].names == here.explanations[0].names


def test_each_kind_of_model_refuses_the_other_and_names_its_own(remote: Explain, address: str) -> None:
    with pytest.raises(InvalidInputError, match=r"'tiny' explains single images; use Client\.model for it"):
        remote("tiny", clip=moving())
    said = r"clips of 8 frames, not single images; .* Client\.clip_model"
    with Client(address).model("rgb") as model, pytest.raises(InvalidInputError, match=said):
        model.explain(moving()[0])


def test_what_was_not_asked_for_is_absent_also_of_a_frame(remote: Explain) -> None:
    explanation = remote("rgb", clip=moving(), outputs=["raw-map"]).explanations[0]
    with pytest.raises(AbsentOutputError, match="'heatmap' was not asked for"):
        explanation.overlays()
