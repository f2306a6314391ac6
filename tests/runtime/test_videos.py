"""Videos are read upright, at their times and within bounds, and written so that players show them."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av", reason="PyAV is not installed (extra `video`), so there are no videos.")

from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_runtime.video.reading import VideoReader
from camgraph_runtime.video.writing import VideoWriter
from support.videos import read_video, turned, write_video

HEIGHT, WIDTH = 48, 64


def frame(number: int) -> np.ndarray:
    """A frame that tells its number by its grey, red on its upper left."""
    pixels = np.full((HEIGHT, WIDTH, 3), 20 + 10 * number, np.uint8)
    pixels[:16, :16] = (220, 0, 0)
    return pixels


FRAMES = [frame(number) for number in range(12)]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", FRAMES)


def numbers(path: Path, **part: float) -> list[tuple[int, float]]:
    """The numbers of the frames that are read, told by what they show, and their times."""
    with VideoReader(path) as video:
        return [
            (round((float(found.pixels[40, 40].mean()) - 20) / 10), round(found.seconds, 3))
            for found in video.frames(**part)  # type: ignore[arg-type]  # a table of whole numbers and seconds
        ]


def test_frames_come_in_order_with_their_times(clip: Path) -> None:
    assert numbers(clip) == [(number, number / 10) for number in range(12)]
    with VideoReader(clip) as video:
        assert video.rate == 10
        assert video.seconds == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"every": 5}, [0, 5, 10]),
        ({"start": 0.55}, [6, 7, 8, 9, 10, 11]),
        ({"end": 0.3}, [0, 1, 2, 3]),
        ({"start": 0.2, "end": 0.75, "every": 2}, [2, 4, 6]),
        ({"start": 5.0}, []),
    ],
)
def test_parts(clip: Path, part: dict[str, float], expected: list[int]) -> None:
    assert [number for number, _ in numbers(clip, **part)] == expected


def test_times_are_those_of_the_file_and_not_of_a_rate(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.5, 0.55, 2.0]
    assert numbers(write_video(tmp_path / "clip.mkv", FRAMES[:5], times=times)) == list(enumerate(times))


def test_a_turned_camera_is_turned_back(clip: Path) -> None:
    """What was on the upper left of what the camera stored is on the upper right of what people see."""
    with VideoReader(turned(clip)) as video:
        first = next(video.frames())
    assert first.pixels.shape == (WIDTH, HEIGHT, 3)
    red = first.pixels[..., 0].astype(int) - first.pixels[..., 1]
    assert red[:16, -16:].min() > 150
    assert red[20:].max() < 50


@pytest.mark.parametrize("data", [b"", b"no video", b"\x00\x00\x00\x20ftypisom" + bytes(64), b"RIFF" + bytes(100)])
def test_what_is_no_video_is_told_so(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    with pytest.raises(InvalidInputError, match=r"clip\.mp4 (cannot be read as a video|has no pictures)"):
        VideoReader(path)


def test_a_playlist_does_not_lead_to_other_files(tmp_path: Path, clip: Path) -> None:
    playlists = {
        "list.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.2,\n{clip}\n#EXT-X-ENDLIST\n",
        "concat.mkv": f"ffconcat version 1.0\nfile '{clip}'\n",
    }
    for name, text in playlists.items():
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(InvalidInputError, match="cannot be read as a video"):
            VideoReader(path)


def test_frames_beyond_the_limit_are_refused_before_they_are_decoded(clip: Path) -> None:
    with pytest.raises(InvalidInputError, match="frames of 64 x 48 pixels, but the limit is 3000 pixels"):
        VideoReader(clip, max_pixels=3000)


def test_a_damaged_video_gives_what_comes_before(clip: Path, tmp_path: Path) -> None:
    """A stream that was cut off; containers of the web and of broadcasting need no index at their end."""
    broken = write_video(tmp_path / "whole.ts", FRAMES * 10)
    data = broken.read_bytes()
    broken.write_bytes(data[: len(data) // 2])
    assert 0 < len(numbers(broken)) < len(FRAMES) * 10


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """Sixty frames of 9 MiB, of which one at a time is held."""
    path = write_video(tmp_path / "long.mp4", [np.zeros((1536, 2048, 3), np.uint8)] * 60)
    program = (
        "import resource, sys\n"
        "from camgraph_runtime.video.reading import VideoReader\n"
        "with VideoReader(sys.argv[1]) as video:\n"
        "    frames = video.frames()\n"
        "    for _ in range(10): next(frames)\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "    count = sum(1 for _ in frames)\n"
        "    print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    run = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True, timeout=120)
    count, grown = map(int, run.stdout.split())
    assert count == 50
    assert grown < 5 * 9 * 1024  # KiB: far from fifty frames


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".webm"])
def test_what_is_written_can_be_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    with VideoWriter(path, Fraction(5)) as writer:
        for number, pixels in enumerate(FRAMES[:4]):
            writer.add(pixels[:47, :63], 0.2 * number)
            assert not path.exists()
    found = read_video(path)
    assert [round(seconds - found[0][0], 2) for seconds, _ in found] == [0.0, 0.2, 0.4, 0.6]
    for (_, pixels), wanted in zip(found, FRAMES, strict=False):
        assert pixels.shape == (48, 64, 3)
        assert np.abs(pixels[30:47, :63].astype(int) - wanted[30:47, :63]).mean() < 4
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_that_fails_leaves_no_file(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "out.mp4", Fraction(5))
    writer.add(FRAMES[0], 0.0)
    writer.__exit__(ZeroDivisionError)
    assert not list(tmp_path.iterdir())


def test_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.mp4, \.mov, \.mkv, \.webm"):
        VideoWriter(tmp_path / "out.avi", Fraction(5))
