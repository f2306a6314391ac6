"""Videos are read upright, at their times and within bounds, and written so that players show them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("av", reason="PyAV is not installed (extra `video`), so there are no videos.")

import av

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


def test_who_closes_waits_for_the_frame_that_another_thread_decodes(clip: Path) -> None:
    decodes, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    class Slow:
        """A container whose frames come when they may."""

        def __init__(self, container: Any) -> None:
            self.container = container

        def decode(self, stream: Any) -> Iterator[Any]:
            for frame in self.container.decode(stream):
                decodes.set()
                assert go_on.wait(10)
                assert not closed.is_set()
                yield frame

        def close(self) -> None:
            closed.set()
            self.container.close()

    video = VideoReader(clip)
    video._container = Slow(video._container)
    with ThreadPoolExecutor(2) as threads:
        frames = threads.submit(list, video.frames())
        assert decodes.wait(10)
        closing = threads.submit(video.close)
        assert not closed.wait(0.2)
        go_on.set()
        closing.result()
        frames.result()


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


# How a container is written, and whether what it says of itself survives a cut.
CUTS = {
    "matroska": ("clip.mkv", "libx264", {}),
    "matroska that was written to a pipe": ("clip.mkv", "libx264", {"live": "1"}),
    "webm": ("clip.webm", "libvpx", {}),
    "mp4 with its index in front": ("clip.mp4", "libx264", {"movflags": "faststart"}),
    "mp4 of a codec that decodes half a frame": ("clip.mp4", "mpeg4", {"movflags": "faststart"}),
    "mp4 in fragments": ("clip.mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
    "avi": ("clip.avi", "mpeg4", {}),
    "wmv": ("clip.wmv", "wmv2", {}),
    "transport stream": ("clip.ts", "mpeg2video", {}),
    "program stream": ("clip.mpg", "mpeg2video", {}),
}


def detailed(number: int) -> np.ndarray:
    """A frame of squares that move, so that half a frame is not the whole one."""
    squares = np.random.default_rng(0).integers(0, 255, (HEIGHT // 8, 40, 3), np.uint8)
    return np.kron(squares[:, number : number + WIDTH // 8], np.ones((8, 8, 1), np.uint8))


@pytest.mark.parametrize("share", [0.35, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("case", CUTS)
def test_a_video_that_was_cut_off_gives_its_whole_frames_and_says_so(case: str, share: float, tmp_path: Path) -> None:
    name, codec, options = CUTS[case]
    path = tmp_path / name
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = WIDTH, HEIGHT, "yuv420p", 6
        for number in range(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(detailed(number), format="rgb24")))
        container.mux(stream.encode())
    with VideoReader(path) as video:
        whole = [found.pixels for found in video.frames()]
    assert len(whole) == 30
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * share) // 2 * 2 + 1])
    found: list[np.ndarray] = []
    with pytest.raises(InvalidInputError, match="was cut off"), VideoReader(path) as video:
        found.extend(frame.pixels for frame in video.frames())
    assert len(found) < 30
    assert all(np.array_equal(one, other) for one, other in zip(found, whole, strict=False))


def test_a_part_before_the_cut_is_whole(clip: Path, tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", FRAMES)
    path.write_bytes(path.read_bytes()[:-20])
    assert [number for number, _ in numbers(path, end=0.5)] == [0, 1, 2, 3, 4, 5]


def test_an_mp4_without_its_index_was_cut_off(clip: Path) -> None:
    clip.write_bytes(clip.read_bytes()[:-300])
    with pytest.raises(InvalidInputError, match=r"clip\.mp4 was cut off: at least \d+ bytes are missing"):
        VideoReader(clip)


@pytest.mark.parametrize("after", [b"\0" * 5, b"\0" * 500, bytes(range(256))])
@pytest.mark.parametrize("name", ["clip.mkv", "clip.mp4", "clip.avi", "clip.mov"])
def test_what_follows_a_whole_video_is_no_cut(name: str, after: bytes, tmp_path: Path) -> None:
    path = write_video(tmp_path / name, FRAMES)
    path.write_bytes(path.read_bytes() + after)
    assert len(numbers(path)) == len(FRAMES)


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
