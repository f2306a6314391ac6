"""Live sources for tests: a thread that sends frames over a connection, as a camera does."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np

PER_SECOND = 25


@contextlib.contextmanager
def camera(
    frames: Sequence[np.ndarray], *, pace: float = 1 / PER_SECOND, hangs: bool = False, format_: str = "mpegts"
) -> Iterator[str]:
    """The address of a camera that sends these frames to the first who connects, and closes the connection.

    Args:
        frames: uint8 [H, W, 3] with even sides.
        pace: Seconds between two frames.
        hangs: Keep the connection open after the last frame, and send nothing.
        format_: FFmpeg's name of the container.
    """
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        work = threading.Thread(target=_send, args=(listener, frames, pace, format_, hangs, over), daemon=True)
        work.start()
        try:
            yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            work.join(timeout=30)


def _send(
    listener: socket.socket,
    frames: Sequence[np.ndarray],
    pace: float,
    format_: str,
    hangs: bool,
    over: threading.Event,
) -> None:
    with contextlib.suppress(OSError):
        connection, _ = listener.accept()
        with connection:
            for part in encoded(frames, format_):
                connection.sendall(part)
                if over.wait(pace):
                    return
            if hangs:
                over.wait(30)


def encoded(frames: Sequence[np.ndarray], format_: str) -> Iterator[bytes]:
    """The bytes of each frame in a container that is sent while it is made."""
    written = bytearray()
    with av.open(_Into(written.extend), "w", format=format_) as container:
        stream: Any = container.add_stream("mpeg4", rate=PER_SECOND)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.bit_rate, stream.gop_size = "yuv420p", 4_000_000, 5
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, PER_SECOND)
            container.mux(stream.encode(frame))
            yield bytes(written)
            written.clear()
        container.mux(stream.encode())
    yield bytes(written)


class _Into:
    """A file that gives away what is written into it."""

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self._take = take

    def write(self, data: bytes) -> int:
        self._take(bytes(data))
        return len(data)


def wait_until(is_so: Callable[[], bool], *, patience: float = 30) -> None:
    """Waits until something is so, or fails."""
    end = time.monotonic() + patience
    while not is_so():
        assert time.monotonic() < end, "it has not come to be"
        time.sleep(0.01)
