"""`camgraph explain` with the graph of a model of clips: a video, frames or an array is one input."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.clips import FRAMES, moving, write_clip_graph
from support.exporting import camgraph, complaint
from support.serving import server_thread, write_model


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip_graph(tmp_path_factory.mktemp("clips"))


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, pixels in enumerate(moving()):
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    return folder


def test_a_folder_of_frames_is_one_clip(graph: Path, frames: Path, tmp_path: Path) -> None:
    result = camgraph("explain", frames, "--graph", graph, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert "frames: frames 0, 1, 2, 3, 4, 5, 6, 7" in result.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "frames.1-class_0.gif", "frames.1-class_0.sheet.png",
    ]  # fmt: skip  # in one row


def test_an_array_and_a_video_are_played(graph: Path, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed (extra `video`), so there are no videos.")
    from support.videos import read_video, write_video  # noqa: PLC0415 - it needs PyAV

    np.save(tmp_path / "clip.npy", moving())
    write_video(tmp_path / "clip.mp4", list(moving(2 * FRAMES)))
    for name in ("clip.npy", "clip.mp4"):
        out = tmp_path / f"{name}.seen.mp4"
        result = camgraph("explain", tmp_path / name, "--graph", graph, "--target", "0", "-o", out)
        assert result.exit_code == 0, result.stderr
        assert len(read_video(out)) == FRAMES
    result = camgraph("explain", tmp_path / "clip.mp4", "--graph", graph, "--top-k", "2", "-o", tmp_path / "two.gif")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "two.1-class_0.gif").exists()
    assert (tmp_path / "two.2-class_1.gif").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--follow"], "leave out --every and --follow"),
        (["--bank", "model", "--nodata", "0"], "only images have --bank and --nodata"),
        (["--frame", "1", "--scaled-decoding"], "only images have --frame and --scaled-decoding"),
        (["--json", "out.json"], "are for images, not for a video"),
        (["-o", "out.avi"], "A clip is written as"),
    ],
)
def test_options_that_do_not_fit(
    graph: Path, frames: Path, arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in complaint(camgraph("explain", frames, "--graph", graph, *arguments), exit_code=2)


def test_a_server_explains_it_as_the_graph_does(graph: Path, frames: Path, tmp_path: Path) -> None:
    for name, source in (("clip", graph), ("tiny", write_model(tmp_path / "made"))):
        (tmp_path / "models" / name / "1").mkdir(parents=True)
        shutil.copy(source, tmp_path / "models" / name / "1" / "model.onnx")
    with server_thread(tmp_path / "models") as server:
        where = ("--server", server.address, "--model", "clip")
        there = camgraph("explain", frames, *where, "--top-k", "2", "-o", tmp_path / "there")
        here = camgraph("explain", frames, "--graph", graph, "--top-k", "2", "-o", tmp_path / "here")
        assert (there.exit_code, here.exit_code) == (0, 0), there.stderr + here.stderr
        assert there.stdout.replace("there", "here") == here.stdout
        written = {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()}
        assert {path.name: path.read_bytes() for path in (tmp_path / "there").iterdir()} == written
        said = complaint(camgraph("explain", frames, *where, "--graph", graph), exit_code=2)
        assert "either --graph FILE, or --server" in said
