"""Clips and volumes in one process: which frames go in, how, and where the heat lies in space and time."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidInputError, UnsupportedError, UsageError
from camgraph_exporter import Input, export
from camgraph_runtime import ClipExplainer, Explainer, Target
from camgraph_runtime.clips.sampling import chosen
from camgraph_runtime.run.engine import Engine
from support.clips import FRAMES, HEIGHT, LAYOUTS, WIDTH, moving, write_clip_graph
from support.nets import Net
from support.tiny_graph import TinyGraph


def hottest(heat: np.ndarray) -> list[float]:
    """Where the middle of the heat of each frame is across."""
    across = np.arange(heat.shape[2]) + 0.5
    return [float((frame.sum(axis=0) * across).sum() / frame.sum()) for frame in heat]


@pytest.fixture(scope="module")
def explainer(tmp_path_factory: pytest.TempPathFactory) -> ClipExplainer:
    return ClipExplainer(write_clip_graph(tmp_path_factory.mktemp("clips")))


def test_heat_follows_what_moves(explainer: ClipExplainer) -> None:
    result = explainer.explain(moving())
    assert [item.class_index for item in result.predictions] == [0, 1]
    [explanation] = result.explanations
    assert explanation.heatmap.shape == (FRAMES, HEIGHT, WIDTH)
    assert explanation.raw_maps[0].shape == (4, 8, 12)
    expected = [4 + number * (WIDTH - 8) / (FRAMES - 1) for number in range(FRAMES)]
    # A cell of two frames has the place of both.
    assert hottest(explanation.heatmap) == pytest.approx(expected, abs=6)
    assert float(explanation.heatmap.max()) == pytest.approx(1, abs=1e-5)


def test_classes_that_cannot_be_listed_are_said(tmp_path: Path) -> None:
    explainer = ClipExplainer(write_clip_graph(tmp_path))
    explainer.manifest.head.output_is_ranked = True
    result = explainer.explain(moving())
    assert not result.predictions
    assert "the best classes cannot be listed" in result.warnings[0]
    assert not explainer.explain(moving(), num_predictions=0).warnings


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_map_is_what_the_definition_says(layout: str, tmp_path: Path) -> None:
    """By the graph's own outputs, OpenCV's resize of each moment, and NumPy's interpolation over time."""
    path, frames = write_clip_graph(tmp_path, layout), moving()
    random = np.random.default_rng(0).integers(0, 256, frames.shape, np.uint8)
    found = ClipExplainer(path).explain(random, targets=[Target.index(1)]).explanations[0]
    tensor = (random.astype(np.float32) / 255)[None].transpose(tuple("NTHWC".index(axis) for axis in layout))
    engine = Engine(path)
    outputs = engine.run({"image": np.ascontiguousarray(tensor), "target": np.array([[1]])})
    raw = np.maximum(np.einsum("k,kthw->thw", outputs["weights"][0, 0], outputs["activations"][0]), 0)
    np.testing.assert_allclose(found.raw_maps[0].clip(0), raw, rtol=1e-5, atol=1e-8)
    cells = (raw - raw.min()) / np.ptp(raw)
    large = np.stack([cv2.resize(part, (WIDTH, HEIGHT)) for part in cells])
    middles = np.arange(4) * 2 + 1.0
    moments = np.apply_along_axis(lambda line: np.interp(np.arange(FRAMES) + 0.5, middles, line), 0, large)
    wanted = (moments - moments.min()) / np.ptp(moments)
    np.testing.assert_allclose(found.heatmap, wanted, atol=1e-5)


@pytest.mark.parametrize("method", ["grad-cam", "hires-cam", "layer-cam", "grad-cam++", "xgrad-cam", "eigen-cam"])
def test_every_method_points_at_what_moves(explainer: ClipExplainer, method: str) -> None:
    heat = explainer.explain(moving(), method=method).explanations[0].heatmap
    for number, frame in enumerate(heat):
        row, column = np.unravel_index(int(frame.argmax()), frame.shape)
        assert 8 <= row < 24
        assert abs(column - (4 + number * 40 / 7)) < 10


def test_pictures_of_another_size_are_resized_and_the_map_comes_back(explainer: ClipExplainer) -> None:
    frames = moving(size=(64, 96))
    [explanation] = explainer.explain(frames).explanations
    assert explanation.heatmap.shape == (FRAMES, 64, 96)
    assert [overlay.shape for overlay in explanation.overlays()] == [(64, 96, 3)] * FRAMES


# --- which frames --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "clip", "expected"),
    [
        (8, pb.Clip(frames=4), [1, 3, 5, 7]),
        (4, pb.Clip(frames=4), [0, 1, 2, 3]),
        (2, pb.Clip(frames=4), [0, 0, 1, 1]),
        (10, pb.Clip(frames=4, step=2), [1, 3, 5, 7]),
        (10, pb.Clip(frames=3, step=1), [3, 4, 5]),
        (3, pb.Clip(frames=4, step=1), [0, 1, 2, 2]),
    ],
)
def test_frames_are_chosen_by_the_rule_of_the_graph(count: int, clip: pb.Clip, expected: list[int]) -> None:
    assert list(chosen(count, clip)) == expected


def test_too_few_frames_are_told(explainer: ClipExplainer) -> None:
    result = explainer.explain(moving(3))
    assert result.numbers == [0, 0, 0, 1, 1, 2, 2, 2]
    assert any("3 were given: some come twice" in warning for warning in result.warnings)
    assert not explainer.explain(moving()).warnings


def test_lists_of_files_and_videos_are_clips(explainer: ClipExplainer, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed (extra `video`), so there are no videos.")
    from support.videos import write_video  # noqa: PLC0415 - it needs PyAV

    frames = moving(16)
    for number, pixels in enumerate(frames):
        Image.fromarray(pixels).save(tmp_path / f"{number:02d}.png")
    listed = explainer.explain(sorted(tmp_path.glob("*.png")))
    video = explainer.explain(write_video(tmp_path / "clip.mp4", list(frames)))
    assert listed.numbers == video.numbers == [1, 3, 5, 7, 9, 11, 13, 15]
    assert video.seconds == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.5])
    assert video.explanations[0].names[0] == "0:00.1"
    difference = np.abs(listed.explanations[0].heatmap - video.explanations[0].heatmap)
    assert difference.mean() < 0.02
    part = explainer.explain(tmp_path / "clip.mp4", start=0.8)
    assert part.seconds == pytest.approx([0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5])
    cut = write_video(tmp_path / "cut.mkv", list(frames))
    cut.write_bytes(cut.read_bytes()[:-30])
    with pytest.raises(InvalidInputError, match="was cut off"):
        explainer.explain(cut)
    assert explainer.explain(cut, end=1.25).seconds[-1] == pytest.approx(1.2)


def test_slices_of_a_volume_share_one_range(tmp_path: Path) -> None:
    net = Net()
    x = net.node("Conv", net.image(("N", 1, 6, 16, 16)), net.random(4, 1, 3, 3, 3), pads=[1] * 6)
    model = net.model(net.pooled_head(net.node("Relu", x, name="map"), 4), shapes={"logits": ("N", 5)})
    export(model, tmp_path / "ct.onnx", input=Input(divisor=255, mean=(0,), std=(1,), resize="stretch"))
    volume = np.random.default_rng(0).integers(0, 3000, (6, 16, 16)).astype(np.uint16)
    volume[0] //= 10  # a dark slice stays darker than the others
    result = ClipExplainer(tmp_path / "ct.onnx").explain(volume)
    [explanation] = result.explanations
    assert explanation.names[5] == "slice 5"
    means = [float(frame.canvas.photo.mean()) for frame in explanation.frames if frame.canvas.photo is not None]
    assert means[0] < 0.2 * means[1]
    assert explanation.heatmap.shape == (6, 16, 16)


# --- what is written ------------------------------------------------------------------------------------------------


def test_a_contact_sheet_and_an_animated_picture(explainer: ClipExplainer, tmp_path: Path) -> None:
    [explanation] = explainer.explain(moving()).explanations
    explanation.save(tmp_path / "out.png")
    explanation.save(tmp_path / "out.gif")
    with Image.open(tmp_path / "out.png") as sheet:
        assert sheet.width > 4 * 200
    with Image.open(tmp_path / "out.gif") as played:
        assert getattr(played, "n_frames", 1) == FRAMES
        assert played.size == (WIDTH, HEIGHT)
    with pytest.raises(UsageError, match=r"\.mp4"):
        explanation.save(tmp_path / "out.txt")


# --- what is refused ------------------------------------------------------------------------------------------------


def test_graphs_of_images_and_of_clips_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="explains clips or volumes; use ClipExplainer"):
        Explainer(write_clip_graph(tmp_path))
    with pytest.raises(UnsupportedError, match="explains single images; use Explainer"):
        ClipExplainer(TinyGraph().serialize())


@pytest.mark.parametrize(
    ("clip", "said"),
    [
        (np.zeros((4, 4), np.uint8), r"an array \[T, H, W\] or \[T, H, W, C\], not \[4, 4\]"),
        (np.zeros((0, 8, 8, 3), np.uint8), "no frames"),
        ([], "no frames"),
        ([np.zeros((8, 8, 3), np.uint8), np.zeros((9, 8, 3), np.uint8)], "have one size"),
    ],
)
def test_what_is_no_clip(explainer: ClipExplainer, clip: object, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        explainer.explain(clip)  # type: ignore[arg-type]  # some of it is what it should not be


def test_a_part_in_seconds_is_of_a_video(explainer: ClipExplainer) -> None:
    with pytest.raises(UsageError, match="A part in seconds"):
        explainer.explain(moving(), start=1.0)
