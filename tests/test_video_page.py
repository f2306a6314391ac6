"""Runs the commands of docs/video.md, with the example model and with a detector whose findings are known."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av", reason="PyAV is not installed (extra `video`), so there are no videos.")

from camgraph_exporter import Input, export
from support.clips import FRAMES, moving, write_clip_graph
from support.exporting import camgraph
from support.square_detectors import FORMS, Square, picture
from support.videos import read_video, write_video

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/video.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(?:sh|python)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_commands_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("examples").symlink_to(ROOT / "examples")
    export(FORMS["ssd"].build(), "detector.cam.onnx", input=Input(divisor=255, mean=(0,), std=(1,), resize="stretch"))
    write_video(Path("street.mp4"), [picture([Square("red", 8 + 8 * step, 40)]) for step in range(3)])
    said = []
    for line in BLOCKS[0].splitlines():
        program, *arguments = shlex.split(line)
        if program == "python":
            subprocess.run([sys.executable, *arguments], check=True, timeout=120)
            continue
        result = camgraph(*arguments)
        assert result.exit_code == 0, (line, result.stderr)
        said.append(result.stdout)
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
    for line in BLOCKS[1].splitlines():
        result = camgraph(*shlex.split(line)[1:])
        assert result.exit_code == 0, (line, result.stderr)
    assert len(read_video(Path("walk.seen.mp4"))) == FRAMES
    assert Path("walk.gif").exists()
    assert Path("explanations/scan.1-class_0.sheet.png").exists()
    Path("walk.gif").unlink()
    exec(compile(BLOCKS[2], "video.md", "exec"), {})
    assert Path("walk.gif").exists()
