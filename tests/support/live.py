"""Live sources for tests: a thread that sends frames over a connection, as a camera does."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np

PER_SECOND = 25
_DATAGRAM = 7 * 188  # packets of MPEG-TS that one of Ethernet takes


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
    with _listening(_send, frames, pace, format_, hangs) as port:
        yield f"tcp://127.0.0.1:{port}"


@contextlib.contextmanager
def _listening(answer: Callable[..., None], *arguments: Any) -> Iterator[int]:
    """The port at which a thread waits for one connection and answers it; its last argument says when to end."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        work = threading.Thread(target=answer, args=(listener, *arguments, over), daemon=True)
        work.start()
        try:
            yield listener.getsockname()[1]
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


@contextlib.contextmanager
def rtsp_camera(frames: Sequence[np.ndarray], *, pace: float = 1 / PER_SECOND) -> Iterator[str]:
    """The address of a camera that speaks RTSP: MPEG-TS in RTP packets, within the connection of the control."""
    with _listening(_answer_rtsp, frames, pace) as port:
        yield f"rtsp://127.0.0.1:{port}/main"


_SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:0\r\n"
_OF_METHOD = {
    "OPTIONS": ("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN", ""),
    "DESCRIBE": ("Content-Type: application/sdp", _SDP),
    "SETUP": ("Transport: RTP/AVP/TCP;unicast;interleaved=0-1", ""),
    "PLAY": ("Range: npt=0-", ""),
}


def _answer_rtsp(listener: socket.socket, frames: Sequence[np.ndarray], pace: float, over: threading.Event) -> None:
    with contextlib.suppress(OSError):
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as requests:
            method = ""
            while method != "PLAY":
                method, *_ = requests.readline().decode().split()
                headers = dict(line.decode().strip().split(": ", 1) for line in iter(requests.readline, b"\r\n"))
                header, body = _OF_METHOD[method]
                lines = ["RTSP/1.0 200 OK", f"CSeq: {headers['CSeq']}", "Session: 1", header]
                lines += [f"Content-Length: {len(body)}"] * bool(body)
                connection.sendall("\r\n".join([*lines, "", body]).encode())
            for number, packet in enumerate(_of_transport_stream(frames, pace, over)):
                rtp = struct.pack(">BBHII", 0x80, 33, number % 65536, number * 90, 1) + packet
                connection.sendall(b"$" + struct.pack(">BH", 0, len(rtp)) + rtp)


def _of_transport_stream(frames: Sequence[np.ndarray], pace: float, over: threading.Event) -> Iterator[bytes]:
    """Pieces of an MPEG-TS that a datagram takes, frame by frame."""
    for part in encoded(frames, "mpegts"):
        yield from (part[start : start + _DATAGRAM] for start in range(0, len(part), _DATAGRAM))
        if over.wait(pace):
            return


@contextlib.contextmanager
def sent_by_udp(frames: Sequence[np.ndarray]) -> Iterator[str]:
    """The address at which datagrams arrive, over and over, whoever listens."""
    over = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not over.is_set():
                for packet in _of_transport_stream(frames, 1 / PER_SECOND, over):
                    with contextlib.suppress(OSError):  # nobody listens yet
                        sender.sendto(packet, ("127.0.0.1", port))

    work = threading.Thread(target=send, daemon=True)
    work.start()
    try:
        yield f"udp://127.0.0.1:{port}"
    finally:
        over.set()
        work.join(timeout=30)


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
