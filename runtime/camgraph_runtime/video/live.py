"""Reads a camera or a stream of the network while it goes on: the newest frame is given, older ones are left out."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self
from urllib.parse import urlsplit

from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_core.redaction import without_credentials
from camgraph_runtime.limits import Limits
from camgraph_runtime.video.library import pyav
from camgraph_runtime.video.reading import CONTAINERS, VideoFrame, rate_of, reason, upright

SCHEMES = {
    "rtsp": "rtsp,rtp,udp,tcp",
    "rtsps": "rtsp,rtp,udp,tcp,tls",
    "http": "http,https,tcp,tls",
    "https": "http,https,tcp,tls",
    "tcp": "tcp",
    "udp": "udp",
}
"""The schemes of addresses that are read, each with the protocols that FFmpeg may use for it."""

_DEVICE = re.compile(r"/dev/(video\d+|v4l/\S+)")
_CAMERA = "v4l2"
# Beside those of files, what cameras send. Playlists are not among them, as they name further addresses.
_FORMATS = f"{CONTAINERS},rtsp,sdp,rtp,mjpeg,mpjpeg"
_GLANCE = 0.1  # seconds after which the waiting side looks whether it should end


@dataclass(frozen=True)
class LiveSource:
    """A camera, by its device, or a stream, by its address.

    Attributes:
        address: The device or the address, which may hold a password.

    """

    address: str

    @classmethod
    def parse(cls, text: str) -> LiveSource | None:
        """The source that a text names, or None if it names a file.

        Raises:
            UsageError: It is an address with another scheme than those of `SCHEMES`, or without a host.

        """
        if _DEVICE.fullmatch(text):
            return cls(text)
        scheme, mark, rest = text.partition("://")
        if not mark:
            return None
        if scheme.lower() not in SCHEMES:
            raise UsageError(f"{scheme}:// is not read; addresses of live sources begin with {', '.join(SCHEMES)}.")
        if not rest.strip("/"):
            raise UsageError(f"{text} names no host; give one, as in rtsp://HOST/PATH.")
        return cls(text)

    @property
    def is_device(self) -> bool:
        """Whether it is a device of this machine."""
        return "://" not in self.address

    @property
    def name(self) -> str:
        """A name for files: that of the device, or the host."""
        if self.is_device:
            return self.address.rpartition("/")[2]
        return re.sub(r"[^\w.-]", "_", urlsplit(self.address).hostname or "stream")

    def __str__(self) -> str:
        return without_credentials(self.address)


class LiveReader:
    """A live source that is open; to be closed, or used with ``with``.

    A thread decodes all that comes, as a decoder needs every frame, and keeps the newest. So what is explained is never
    older than one frame, however long that takes, and memory does not grow. A recording behind an address is
    read at its own pace.

    Args:
        source: The device or the address.
        max_pixels: Largest frame that is decoded.
        patience: Seconds without a frame after which the source has failed.

    Attributes:
        dropped: Frames that were left out, as newer ones came before they were taken.

    Raises:
        InvalidInputError: It cannot be reached, sends no video, or its frames are too large.
        UsageError: PyAV is not installed.

    """

    def __init__(self, source: LiveSource, *, max_pixels: int = Limits().max_pixels, patience: float = 10.0) -> None:
        self._av, self._source, self._max_pixels, self._patience = pyav(), source, max_pixels, patience
        self.dropped = 0
        try:
            self._container = self._av.open(
                source.address,
                format=_CAMERA if source.is_device else None,
                options=_options(source),
                timeout=(patience, patience),
                metadata_errors="replace",
            )
        except self._av.error.ExitError as error:
            raise self._silent() from error
        except (self._av.FFmpegError, ValueError) as error:
            raise InvalidInputError(
                f"{source} cannot be read: {reason(error)}. Check the address, and that the source is on."
            ) from error
        if not self._container.streams.video:
            self._container.close()
            raise InvalidInputError(f"{source} sends no pictures, only sound or text.")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "SLICE"
        with suppress(AttributeError):  # of a codec that this FFmpeg lacks
            self._stream.codec_context.options = {"max_pixels": str(max_pixels)}
        try:
            self._check_size(self._stream)
        except InvalidInputError:
            self._container.close()
            raise
        self._news = threading.Condition()
        self._newest: tuple[int, float, Any] | None = None
        self._problem: InvalidInputError | None = None
        self._has_ended = False
        self._begun: float | None = None  # when a recording began, on the clock of `time.monotonic`
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def rate(self) -> Fraction:
        """Frames per second, as the source says; 25 where it says nothing that can be."""
        return rate_of(self._stream)

    @property
    def seconds(self) -> None:
        """A live source has no length."""

    def frames(self, *, every: int = 1, start: float = 0.0, end: float | None = None) -> Iterator[VideoFrame]:
        """Gives the newest frame, again and again, until the source ends or `stop` is called. To be called once.

        Args:
            every: Looks at one frame of so many.
            start: Seconds after the first frame from which on frames are given.
            end: Seconds after it up to which they are.

        Raises:
            InvalidInputError: The source broke off, or gave no frame for too long; the frames before that were given.

        """
        self._thread = threading.Thread(target=self._read, args=(every,), name="camgraph-live", daemon=True)
        self._thread.start()
        first: float | None = None
        while (newest := self._next(None if first is None or end is None else first + end)) is not None:
            number, came, frame = newest
            first = came if first is None else first
            if end is not None and came - first > end:
                return
            if came - first >= start:
                yield VideoFrame(number, came - first, upright(frame))

    def stop(self) -> None:
        """Ends `frames` at its next frame; a handler of signals may call it."""
        self._stop.set()

    def close(self) -> None:
        """Ends reading. A source that hangs is left to its thread, which closes it when it gives up."""
        self._stop.set()
        if self._thread is None:
            self._container.close()
        else:
            self._thread.join(timeout=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _next(self, until: float | None) -> tuple[int, float, Any] | None:
        """The newest frame, which nobody has taken; None at the end, or after a moment of `time.monotonic`."""
        since = time.monotonic()
        with self._news:
            while not self._stop.is_set():
                if self._newest is not None:
                    newest, self._newest = self._newest, None
                    return newest
                now = time.monotonic()
                if self._problem is not None:
                    raise self._problem
                if self._has_ended or (until is not None and now > until):
                    return None
                if now - since > self._patience:
                    raise self._silent()
                self._news.wait(_GLANCE)
        return None

    def _read(self, every: int) -> None:
        """The work of the thread."""
        number = 0
        try:
            for packet in self._container.demux(self._stream):
                for frame in self._decoded(packet):
                    if self._stop.is_set():
                        return
                    self._check_size(frame)
                    self._keep_pace(frame)
                    if number % every == 0:
                        self._put(number, frame)
                    number += 1
        except InvalidInputError as error:
            self._problem = error
        except self._av.error.ExitError:
            self._problem = self._silent()
        except self._av.FFmpegError as error:
            self._problem = InvalidInputError(f"{self._source} broke off: {reason(error)}.")
        finally:
            self._container.close()
            with self._news:
                self._has_ended = True
                self._news.notify_all()

    def _decoded(self, packet: Any) -> list[Any]:
        try:
            frames: list[Any] = packet.decode()
        except self._av.error.InvalidDataError:  # a packet was lost, or the stream was joined between key frames
            return []
        return frames

    def _put(self, number: int, frame: Any) -> None:
        with self._news:
            self.dropped += self._newest is not None
            self._newest = (number, time.monotonic(), frame)
            self._news.notify_all()

    def _keep_pace(self, frame: Any) -> None:
        """Waits for the time of a frame of a recording, whose length is known: it comes as fast as the network."""
        if self._container.duration is None or frame.time is None:
            return
        if self._begun is None:
            self._begun = time.monotonic() - frame.time
        self._stop.wait(max(0.0, self._begun + frame.time - time.monotonic()))

    def _check_size(self, frame: Any) -> None:
        """Refuses a frame, or a stream that states such frames."""
        if frame.width * frame.height > self._max_pixels:
            raise InvalidInputError(
                f"{self._source} has frames of {frame.width} x {frame.height} pixels, but the limit is "
                f"{self._max_pixels} pixels."
            )

    def _silent(self) -> InvalidInputError:
        return InvalidInputError(
            f"{self._source} gave no frame for {self._patience:g} seconds. Check that it is on, or give it more time "
            "with --source-timeout."
        )


def _options(source: LiveSource) -> dict[str, str]:
    if source.is_device:
        return {}
    scheme = source.address.partition("://")[0].lower()
    options = {"protocol_whitelist": SCHEMES[scheme], "format_whitelist": _FORMATS}
    # Packets that arrive in their order and all; by UDP where a camera does not offer it.
    return options | {"rtsp_flags": "prefer_tcp"} if scheme.startswith("rtsp") else options
