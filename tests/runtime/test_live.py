"""Live sources: the newest frame is given, and whatever a source does, reading it ends."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av", reason="PyAV is not installed (extra `video`), so there are no videos.")

from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_runtime.pictures.jpeg import encode_jpeg
from camgraph_runtime.video.live import SCHEMES, LiveReader, LiveSource
from support.live import camera, rtsp_camera, sent_by_udp
from support.videos import write_video

PATIENCE = 20.0


def shades(count: int) -> list[np.ndarray]:
    """Frames of which each is brighter than the one before."""
    return [np.full((32, 48, 3), round(10 + 230 * number / count), np.uint8) for number in range(count)]


def served(folder: Path) -> contextlib.AbstractContextManager[str]:
    """A folder over HTTP; gives its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    return serving(partial(Quiet, directory=str(folder)))


@contextlib.contextmanager
def serving(handler: Callable[..., http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        work = threading.Thread(target=server.serve_forever, daemon=True)
        work.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        work.join()


def opened(address: str, *, patience: float = PATIENCE, max_pixels: int = 1_000_000) -> LiveReader:
    source = LiveSource.parse(address)
    assert source is not None
    return LiveReader(source, patience=patience, max_pixels=max_pixels)


def brightness(pixels: np.ndarray) -> float:
    return float(pixels.mean())


@pytest.mark.parametrize("format_", ["mpegts", "matroska"])
def test_what_comes_slowly_is_given_frame_by_frame(format_: str) -> None:
    with camera(shades(40), format_=format_) as address, opened(address) as reader:
        found = [(frame.number, frame.seconds, brightness(frame.pixels)) for frame in reader.frames()]
    numbers, seconds, means = zip(*found, strict=True)
    assert numbers[-1] == 39
    assert len(found) + reader.dropped == 40
    assert seconds[0] == 0
    assert list(seconds) == sorted(seconds)
    np.testing.assert_allclose(means, [10 + 230 * number / 40 for number in numbers], atol=6)


def test_a_camera_that_speaks_rtsp() -> None:
    with rtsp_camera(shades(50)) as address, opened(address) as reader:
        found = [(frame.number, brightness(frame.pixels)) for frame in reader.frames()]
    assert len(found) + reader.dropped >= 40
    assert [mean for _, mean in found] == sorted(mean for _, mean in found)


def test_datagrams() -> None:
    with sent_by_udp(shades(25)) as address, opened(address) as reader:
        found = [frame.pixels.shape for frame, _ in zip(reader.frames(), range(5), strict=False)]
    assert found == [(32, 48, 3)] * 5


def test_pictures_that_follow_one_another_over_http() -> None:
    """As many cameras on walls send them."""

    class Camera(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
            self.end_headers()
            for pixels in shades(30):
                picture = encode_jpeg(pixels)
                head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                self.wfile.write(head.encode() + picture + b"\r\n")
                time.sleep(0.04)

        def log_message(self, *_: object) -> None: ...

    with serving(Camera) as address, opened(f"{address}/live") as reader:
        means: list[float] = []
        # Such pictures have no end, so that a connection that ends was broken.
        with pytest.raises(InvalidInputError, match="broke off"):
            means.extend(brightness(frame.pixels) for frame in reader.frames())
    assert len(means) + reader.dropped >= 20
    assert means == sorted(means)


def test_who_is_slow_gets_the_newest_frame_and_the_others_are_counted() -> None:
    with camera(shades(50), pace=0.005) as address, opened(address) as reader:
        numbers = []
        for frame in reader.frames():
            numbers.append(frame.number)
            time.sleep(0.1)
    assert len(numbers) < 25
    assert len(numbers) + reader.dropped == 50
    assert numbers[-1] == 49


def test_one_frame_of_so_many_in_a_part() -> None:
    with camera(shades(200)) as address, opened(address) as reader:
        found = [(frame.number, frame.seconds) for frame in reader.frames(every=5, start=0.2, end=0.9)]
    assert found
    assert all(number % 5 == 0 and 0.2 <= seconds <= 0.9 for number, seconds in found)


def test_it_ends_when_it_is_stopped() -> None:
    with camera(shades(500)) as address, opened(address) as reader:
        for count, _ in enumerate(reader.frames(), start=1):
            if count == 3:
                reader.stop()
    assert count == 3


def test_a_source_that_falls_silent_ends_with_a_sentence() -> None:
    with camera(shades(40), hangs=True) as address, opened(address, patience=1.5) as reader:
        numbers = []
        with pytest.raises(InvalidInputError, match=r"gave no frame for 1\.5 seconds"):
            numbers.extend(frame.number for frame in reader.frames())
    assert reader.dropped < 40


def test_one_that_never_says_a_word() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(InvalidInputError, match=r"gave no frame for 0\.5 seconds"):
            opened(address, patience=0.5)


def test_frames_that_are_too_large() -> None:
    said = "frames of 96 x 64 pixels, but the limit is 1000"
    with camera([np.zeros((64, 96, 3), np.uint8)] * 40) as address, pytest.raises(InvalidInputError, match=said):
        opened(address, max_pixels=1000)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("tcp://user:secret@127.0.0.1:1/", r"tcp://\*\*\*@127\.0\.0\.1:1/ cannot be read: connection refused"),
        ("http://127.0.0.1:1/live?token=secret", r"http://127\.0\.0\.1:1/live\?\*\*\* cannot be read"),
        ("/dev/video97", "/dev/video97 cannot be read: no such file or directory"),
    ],
)
def test_what_cannot_be_reached_and_no_password_is_told(address: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said) as caught:
        opened(address)
    assert "secret" not in str(caught.value)


def test_a_playlist_behind_an_address_opens_nothing_else(tmp_path: Path) -> None:
    """It could name files of this machine."""
    write_video(tmp_path / "clip.ts", shades(10))
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nclip.ts\n#EXT-X-ENDLIST\n")
    with served(tmp_path) as address, pytest.raises(InvalidInputError, match="cannot be read"):
        opened(f"{address}/list.m3u8")


def test_a_recording_behind_an_address_is_played_at_its_pace(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", shades(20))
    with served(tmp_path) as address, opened(f"{address}/clip.mp4") as reader:
        found = [(frame.number, frame.seconds) for frame in reader.frames()]
    assert len(found) + reader.dropped == 20
    assert found[-1][0] == 19
    assert found[-1][1] >= 1.8


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("/dev/video0", "video0"),
        ("/dev/v4l/by-id/usb-cam", "usb-cam"),
        ("rtsp://user:secret@camera.example:554/a/b", "camera.example"),
        ("udp://@:5000", "stream"),
        ("HTTP://[::1]:80/x", "__1"),
    ],
)
def test_what_is_a_live_source(text: str, name: str) -> None:
    source = LiveSource.parse(text)
    assert source is not None
    assert source.name == name
    assert source.is_device == text.startswith("/dev")
    assert "secret" not in str(source)


@pytest.mark.parametrize(
    "text", ["clip.mp4", "/dev/null", "/dev/videos", "photos/**/*.jpg", "C:/clip.mp4", "concat:a|b"]
)
def test_what_is_a_path(text: str) -> None:
    assert LiveSource.parse(text) is None


@pytest.mark.parametrize("text", ["file:///etc/passwd", "ftp://host/clip.mp4", "hls+http://host/list", "rtsp://"])
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"begin with rtsp, rtsps, http|names no host"):
        LiveSource.parse(text)
    assert "file" not in SCHEMES
