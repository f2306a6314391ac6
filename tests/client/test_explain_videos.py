"""`camgraph explain` of videos: a video and a contact sheet come back, the same from a graph and from a server."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av", reason="PyAV is not installed (extra `video`), so there are no videos.")

import av
from PIL import Image

from camgraph_client.cli.video.follow import nearest
from camgraph_client.cli.video.sheet import clock
from camgraph_core.rectangle import Rectangle
from camgraph_core.result import ClassScore
from camgraph_exporter import Input, export
from camgraph_runtime import Explainer, Target
from support.exporting import camgraph, complaint
from support.square_detectors import FORMS, Square, picture
from support.videos import read_video, write_video


@pytest.fixture(params=["graph", "server"])
def source(request: pytest.FixtureRequest, graph: Path, address: str) -> list[str]:
    return ["--graph", str(graph)] if request.param == "graph" else ["--server", address, "--model", "tiny"]


def tiny_frames(count: int) -> list[np.ndarray]:
    """Parts of a smooth picture, as of a camera that moves across it."""
    down, across = np.mgrid[:96, : 128 + 4 * count]
    whole = np.stack([2 * down, across, 255 - down - across // 2], axis=-1).clip(0, 255).astype(np.uint8)
    return [whole[:, 4 * number : 4 * number + 128] for number in range(count)]


def test_a_video_and_a_contact_sheet(source: list[str], tmp_path: Path, graph: Path) -> None:
    frames = tiny_frames(9)
    clip, out = write_video(tmp_path / "clip.mp4", frames), tmp_path / "seen" / "out.mp4"
    result = camgraph("explain", clip, *source, "--target", "dog", "--every", "3", "-o", out)
    assert result.exit_code == 0, result.stderr
    assert re.search(r"^3 frames\n  0:00\.0 - 0:00\.6  dog, 3 frames$", result.stdout, re.MULTILINE)
    found, explainer = read_video(out), Explainer(graph)
    assert [round(seconds, 2) for seconds, _ in found] == [0.0, 0.3, 0.6]
    for (_, drawn), pixels in zip(found, (read_video(clip)[number][1] for number in (0, 3, 6)), strict=True):
        wanted = explainer.explain(pixels, targets=[Target.of_label("dog")]).explanations[0].overlay()
        part = drawn[: wanted.shape[0], : wanted.shape[1]]
        assert np.abs(part.astype(int) - wanted).mean() < 6
    with Image.open(out.with_suffix(".sheet.png")) as sheet:
        assert sheet.width > 3 * 200
    assert "wrote" in result.stdout


def test_several_targets_are_side_by_side_in_the_default_folder(
    tmp_path: Path, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frames = tiny_frames(3)
    write_video(tmp_path / "clip.mp4", frames)
    result = camgraph("explain", "clip.mp4", "--graph", graph, "--top-k", "2", "--max-side", "64")
    assert result.exit_code == 0, result.stderr
    [first, *_] = read_video(tmp_path / "explanations" / "clip.mp4")
    assert first[1].shape[1] == 2 * 64


# --- an object that moves ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("detector") / "cam.onnx"
    export(FORMS["ssd"].build(), path, input=Input(divisor=255, mean=(0,), std=(1,), resize="stretch"))
    return path


STEPS = 5


def street(*, hidden: tuple[int, ...] = (), others: bool = True) -> list[np.ndarray]:
    """A red square goes from the left to the right below a red one that stays, and a green one beside them."""
    frames = []
    for step in range(STEPS):
        moving = [] if step in hidden else [Square("red", 8 + 8 * step, 40)]
        staying = [Square("red", 40, 8), Square("green", 72, 40)] if others else []
        frames.append(picture([*moving, *staying]))
    return frames


def places_of_heat(path: Path, count: int) -> list[tuple[float, float]]:
    """Where the outline of the explained box is, by what it adds to the frame that was explained."""
    found = [pixels for _, pixels in read_video(path)]
    assert len(found) == count
    places = []
    for pixels in found:
        white = (pixels.astype(int).min(axis=2) > 150).nonzero()
        places.append((float(np.mean(white[1])), float(np.mean(white[0]))) if len(white[0]) else (np.nan, np.nan))
    return places


def test_a_moving_object_keeps_its_explanation(detector: Path, tmp_path: Path) -> None:
    clip, out = write_video(tmp_path / "street.mp4", street()), tmp_path / "out.mp4"
    result = camgraph("explain", clip, "--graph", detector, "--at", "16,48", "--follow", "-o", out)
    assert result.exit_code == 0, result.stderr
    for step, (across, down) in enumerate(places_of_heat(out, STEPS)):
        assert across == pytest.approx(16 + 8 * step, abs=4), step
        assert down == pytest.approx(48, abs=4), step
    assert re.search(rf"{STEPS} frames$", result.stdout, re.MULTILINE)


def test_an_object_that_is_hidden_is_found_again(detector: Path, tmp_path: Path) -> None:
    clip, out = write_video(tmp_path / "street.mp4", street(hidden=(2,))), tmp_path / "out.mp4"
    result = camgraph("explain", clip, "--graph", detector, "--at", "16,48", "--follow", "-o", out)
    assert result.exit_code == 0, result.stderr
    places = places_of_heat(out, STEPS)
    assert [round(across) for across, _ in places[3:]] == [pytest.approx(40, abs=4), pytest.approx(48, abs=4)]
    assert f"{STEPS} frames, 1 without" in result.stdout


@pytest.mark.parametrize("options", [[], ["--follow"], ["--follow", "--top-k", "1"], ["--follow", "--target", "1"]])
def test_an_object_that_comes_later(detector: Path, tmp_path: Path, options: list[str]) -> None:
    clip, out = write_video(tmp_path / "street.mp4", street(hidden=(0, 1), others=False)), tmp_path / "out.mp4"
    result = camgraph("explain", clip, "--graph", detector, *options, "-o", out)
    assert result.exit_code == 0, result.stderr
    assert f"{STEPS} frames, 2 without" in result.stdout


def test_a_place_without_an_object_in_any_frame(detector: Path, tmp_path: Path) -> None:
    clip, out = write_video(tmp_path / "street.mp4", street()), tmp_path / "out.mp4"
    said = complaint(camgraph("explain", clip, "--graph", detector, "--at", "2,2", "-o", out), exit_code=2)
    assert "No object lies at 2, 2" in said
    assert not out.exists()


def test_the_nearest_box_of_the_class_is_followed() -> None:
    def item(class_index: int, left: float) -> ClassScore:
        return ClassScore(class_index, "", 1.0, 1.0, anchor=int(left), box=Rectangle(left, 0, left + 10, 10))

    last = item(0, 50)
    assert nearest(last, [item(0, 80), item(0, 58), item(1, 50)]) == item(0, 58)
    assert nearest(last, [item(0, 200), item(1, 50)]) is None


# --- what does not fit ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--json", "out.json"], "are for images, not for a video"),
        (["--bank", "clip.mp4", "--hot-regions"], "not for a video: --bank and --hot-regions"),
        (["--start", "2", "--end", "1"], "give a later --end"),
        (["--start", "9"], "no frame in the part"),
        (["-o", "out.avi"], ".mp4, .mov, .mkv, .webm"),
        (["--follow"], "does not"),
        (["--follow", "--top-k", "2"], "name one target"),
    ],
)
def test_options_that_do_not_fit(
    arguments: list[str], said: str, tmp_path: Path, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "clip.mp4", tiny_frames(2))
    result = camgraph("explain", "clip.mp4", "--graph", graph, *arguments)
    assert said in complaint(result, exit_code=2 if "no frame" not in said else 1)


def test_options_of_videos_and_files_without_one(tmp_path: Path, graph: Path, image: Path) -> None:
    said = complaint(camgraph("explain", image, "--graph", graph, "--every", "2"), exit_code=2)
    assert "go with a video" in said
    clip = write_video(tmp_path / "clip.mp4", tiny_frames(2))
    assert "explained alone" in complaint(camgraph("explain", clip, image, "--graph", graph), exit_code=2)
    assert "-o names a folder" in complaint(camgraph("explain", image, "--graph", graph, "-o", image), exit_code=2)


@pytest.mark.parametrize("name", ["clip.mkv", "clip.ts"])
def test_of_a_video_that_was_cut_off_what_is_there_is_explained_and_the_exit_code_is_1(
    source: list[str], name: str, tmp_path: Path
) -> None:
    clip, out = write_video(tmp_path / name, tiny_frames(8) * 4), tmp_path / "out.mp4"
    clip.write_bytes(clip.read_bytes()[: len(clip.read_bytes()) * 9 // 10 // 2 * 2 + 1])
    result = camgraph("explain", clip, *source, "-o", out)
    assert result.exit_code == 1
    said = r"was cut off: at least \d+ bytes are missing at its end, .*\n"
    assert re.fullmatch(rf"Error: \S*{name} {said}", result.stderr)
    found = read_video(out)
    assert 8 < len(found) < 32
    assert f"{len(found)} frames" in result.stdout
    assert "wrote" in result.stdout


def test_frames_that_are_damaged_in_the_middle_are_counted(tmp_path: Path, graph: Path) -> None:
    path, frames = tmp_path / "clip.avi", tiny_frames(30)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt, stream.gop_size = *frames[0].shape[:2], "yuv420p", 10
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
        container.mux(stream.encode())
    whole = camgraph("explain", path, "--graph", graph, "-o", tmp_path / "out.mp4")
    assert "frames are damaged" not in whole.output
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 3, 2 * len(data) // 3, 97):
        data[place] ^= 0x55
    path.write_bytes(data)
    result = camgraph("explain", path, "--graph", graph, "-o", tmp_path / "out.mp4")
    assert re.search(
        r"^\d+ frames are damaged in the file: the decoder filled what they lack$", result.stdout, re.MULTILINE
    )


def test_times_for_people() -> None:
    assert [clock(seconds) for seconds in (0, 4.06, 59.96, 64.5, 3605.25)] == [
        "0:00.0", "0:04.1", "1:00.0", "1:04.5", "60:05.2",
    ]  # fmt: skip  # in one row
