"""`camgraph explain` of live sources: a whole video is written, however the source or the user ends it."""

from __future__ import annotations

import os
import re
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av", reason="PyAV is not installed (extra `video`), so there are no videos.")

from support.clips import write_clip_graph
from support.exporting import camgraph, complaint
from support.live import camera, wait_until
from support.videos import read_video

FRAMES = [np.full((48, 64, 3), (4 * number, 90, 200 - 3 * number), np.uint8) for number in range(60)]


@pytest.fixture(params=["graph", "server"])
def source(request: pytest.FixtureRequest, graph: Path, address: str) -> list[str]:
    return ["--graph", str(graph)] if request.param == "graph" else ["--server", address, "--model", "tiny"]


def test_a_stream_becomes_a_video_until_it_ends(source: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    with camera(FRAMES) as address:
        result = camgraph("explain", address, *source, "--target", "dog", "--every", "10", "-o", out)
    assert result.exit_code == 0, result.stderr
    written = read_video(out)
    assert f"{len(written)} frames" in result.stdout
    left_out = re.search(r"^(\d+) frames came while others were explained", result.stdout, re.MULTILINE)
    assert len(written) + (int(left_out[1]) if left_out else 0) == 6
    seconds = [moment for moment, _ in written]
    assert seconds == sorted(seconds)
    assert out.with_suffix(".sheet.png").exists()


def test_it_ends_after_so_many_seconds_in_the_default_folder(
    graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with camera(FRAMES * 100) as address:
        result = camgraph("explain", address, "--graph", graph, "--end", "0.5")
    assert result.exit_code == 0, result.stderr
    assert read_video(tmp_path / "explanations" / "127.0.0.1.mp4")[-1][0] <= 0.5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_finishes_the_file_whole(source: list[str], number: signal.Signals, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    before = signal.getsignal(number)

    def interrupt() -> None:
        wait_until(lambda: any(tmp_path.glob(".out.mp4.*.part")))
        os.kill(os.getpid(), number)

    with camera(FRAMES * 100) as address:
        hand = threading.Thread(target=interrupt)
        hand.start()
        result = camgraph("explain", address, *source, "-o", out)
        hand.join()
    assert result.exit_code == 0, result.stderr
    assert read_video(out)
    assert out.with_suffix(".sheet.png").exists()
    assert not list(tmp_path.glob(".out.mp4.*"))
    assert signal.getsignal(number) is before


def test_what_came_before_a_silence_is_written(graph: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    with camera(FRAMES, hangs=True) as address:
        result = camgraph("explain", address, "--graph", graph, "--source-timeout", "1.5", "-o", out)
    assert result.exit_code == 1
    assert f"{address} gave no frame for 1.5 seconds" in result.stderr
    assert read_video(out)


def test_what_does_not_fit(graph: Path, image: Path, tmp_path: Path) -> None:
    def said(*arguments: object) -> str:
        return complaint(camgraph("explain", *arguments, "-o", tmp_path / "out.mp4"), exit_code=2)

    assert "begin with rtsp, rtsps, http, https, tcp, udp" in said("ftp://host/a.mp4", "--graph", graph)
    assert "explained alone" in said("tcp://127.0.0.1:1", image, "--graph", graph)
    clips = write_clip_graph(tmp_path)
    assert "The model takes clips, and tcp://127.0.0.1:1 has no end" in said("tcp://127.0.0.1:1", "--graph", clips)
    assert "--source-timeout go with a video" in said(image, "--graph", graph, "--source-timeout", "3")
    refused = camgraph("explain", "tcp://u:secret@127.0.0.1:1", "--graph", graph, "-o", tmp_path / "out.mp4")
    assert refused.exit_code == 1
    assert "tcp://***@127.0.0.1:1 cannot be read: connection refused" in refused.stderr
    assert "secret" not in refused.stderr
