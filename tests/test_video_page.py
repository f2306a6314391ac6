"""Runs the commands of docs/video.md, with the example model and with a detector whose findings are known."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av", reason="PyAV is not installed (extra `video`), so there are no videos.")

from camgraph_exporter import Input, export
from support.clips import FRAMES, moving, write_clip_graph
from support.docs_page import blocks, link_examples, page, run
from support.exporting import camgraph
from support.live import camera
from support.serving import server_thread, write_model
from support.square_detectors import FORMS, Square, picture
from support.videos import read_video, write_video

BLOCKS = blocks(page("video.md"), "(?:sh|python)")


def block(text: str) -> str:
    """The block of commands, or of Python, that has a text."""
    [found] = [part for part in BLOCKS if text in part]
    return found


def test_the_commands_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    link_examples()
    export(FORMS["ssd"].build(), "detector.cam.onnx", input=Input(divisor=255, mean=(0,), std=(1,), resize="stretch"))
    write_video(Path("street.mp4"), [picture([Square("red", 8 + 8 * step, 40)]) for step in range(3)])
    python, *commands = block("--follow").splitlines()
    run(python)
    said = [run(line) for line in commands]
    assert len(read_video(Path("clip.mp4"))) == 54
    assert [len(read_video(Path(name))) for name in ("seen.mp4", "explanations/clip.mp4", "followed.mp4")] == [
        11,
        13,
        3,
    ]
    assert re.findall(r"\d:\d\d\.\d  ([\w ]+), \d+ frames", said[1])[1] == "espresso"
    assert Path("seen.sheet.png").exists()
    assert "3 frames" in said[3]


def test_the_commands_for_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip_graph(tmp_path).rename("clip.cam.onnx")
    write_video(Path("walk.mp4"), list(moving(30)))
    np.save("scan.npy", moving(12))
    Path("frames").mkdir()
    for number, pixels in enumerate(moving()):
        Image.fromarray(pixels).save(Path("frames", f"{number}.png"))
    for line in block("walk.seen.mp4").splitlines():
        run(line)
    assert len(read_video(Path("walk.seen.mp4"))) == FRAMES
    assert Path("walk.gif").exists()
    assert Path("explanations/scan.1-class_0.sheet.png").exists()
    Path("walk.gif").unlink()
    exec(compile(block("ClipExplainer("), "video.md", "exec"), {})
    assert Path("walk.gif").exists()


def test_a_clip_on_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("models/clip/1").mkdir(parents=True)
    write_clip_graph(tmp_path).rename("models/clip/1/model.onnx")
    write_video(Path("walk.mp4"), list(moving(30)))
    with server_thread(Path("models")) as server:
        program = block("clip_model(").replace("127.0.0.1:8500", server.address)
        assert server.address in program
        exec(compile(program, "video.md", "exec"), {})
    assert Path("walk.gif").exists()


def test_a_stream_that_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second command, with a stream that is at hand."""
    monkeypatch.chdir(tmp_path)
    Path("model.onnx").symlink_to(write_model(tmp_path / "made"))
    device, stream = map(shlex.split, block("rtsp://").splitlines())
    assert device[2] == "/dev/video0"
    with camera(tiles(20)) as address:
        result = camgraph(*[address if word.startswith("rtsp:") else word for word in stream[1:]])
    assert result.exit_code == 0, result.stderr
    assert 1 <= len(read_video(Path("seen.mkv"))) <= 4


def tiles(count: int) -> list[np.ndarray]:
    return [np.full((48, 64, 3), 5 * number, np.uint8) for number in range(count)]
