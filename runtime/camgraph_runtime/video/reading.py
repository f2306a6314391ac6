"""Reads a video file frame by frame, upright, within bounds: no frame is decoded before its size is allowed."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from camgraph_core.errors import InvalidInputError
from camgraph_core.types import ByteArray
from camgraph_runtime.limits import Limits
from camgraph_runtime.video.extent import missing_bytes
from camgraph_runtime.video.library import pyav

VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv"})
"""Ends of the names of files that are taken for videos."""

CONTAINERS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,asf,flv,ogg,mpegvideo,h264,hevc"
"""Containers of videos alone. FFmpeg's others include playlists, which name further files and addresses."""

_USUAL_RATE = Fraction(25)
_FASTEST = 1000  # frames per second that a file may claim
_UPRIGHT = 90


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """A frame of a video.

    Attributes:
        number: Its number in the video, from 0, or in the part that is read.
        seconds: When it is shown, from the start of the video.
        pixels: uint8 [H, W, 3], RGB, upright.

    """

    number: int
    seconds: float
    pixels: ByteArray


class VideoReader:
    """A video file that is open; to be closed, or used with ``with``.

    Frames are decoded one after the other, so that memory does not grow with the length of the file.

    Args:
        path: The file.
        max_pixels: Largest frame that is decoded.

    Attributes:
        path: The file.
        rate: Frames per second, as the file says; 25 where it says nothing that can be.
        damaged: Frames so far that are damaged and that the decoder filled; not all decoders say so.

    Raises:
        InvalidInputError: It is not a video, or its frames are too large.
        UsageError: PyAV is not installed.

    """

    def __init__(self, path: str | Path, *, max_pixels: int = Limits().max_pixels) -> None:
        self._av, self.path, self._max_pixels = pyav(), Path(path), max_pixels
        self.damaged = 0
        self._using = threading.Lock()
        if not self.path.is_file():
            raise InvalidInputError(f"There is no file {self.path}.")
        options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
        try:
            self._container = self._av.open(str(self.path.resolve()), options=options, metadata_errors="replace")
        except (self._av.FFmpegError, ValueError) as error:
            if self._missing:
                raise self._cut_off("and what says where its pictures are is missing, too") from error
            raise InvalidInputError(
                f"{self.path} cannot be read as a video: {reason(error)}. Convert it to MP4 or Matroska."
            ) from error
        streams = self._container.streams.video
        if not streams:
            self.close()
            raise InvalidInputError(f"{self.path} has no pictures, only sound or text.")
        self._stream = streams[0]
        # Frames of one picture are decoded on several threads; several frames at once would all be held in memory.
        self._stream.thread_type = "SLICE"
        with suppress(AttributeError):  # of a codec that this FFmpeg lacks
            self._stream.codec_context.options = {"max_pixels": str(max_pixels)}
        self._is_closed = False
        # Once the file is closed, which another thread may do, the stream must not be asked.
        self.rate = rate_of(self._stream)
        begins, base = self._stream.start_time, self._stream.time_base
        self._begins = float(begins * base) if begins is not None and base else 0.0
        self._check_size(self._stream.width, self._stream.height)

    @property
    def seconds(self) -> float | None:
        """The length of the video, as far as the file says it."""
        if self._stream.duration is not None and self._stream.time_base is not None:
            return float(self._stream.duration * self._stream.time_base)
        duration: int | None = self._container.duration
        return None if duration is None else duration / self._av.time_base

    def frames(self, *, every: int = 1, start: float = 0.0, end: float | None = None) -> Iterator[VideoFrame]:
        """Decodes frame after frame.

        Args:
            every: Gives one frame of so many.
            start: Seconds from which on frames are given.
            end: Seconds up to which they are.

        Raises:
            InvalidInputError: The video is damaged or was cut off; the frames before that were given. The last one
                before a cut is not, as it may be half a frame.

        """
        for number, seconds, frame in self._shown(start, end):
            if number % every == 0:
                yield VideoFrame(number, seconds, upright(frame))

    def pick(self, numbers: Collection[int], *, start: float = 0.0, end: float | None = None) -> Iterator[VideoFrame]:
        """Decodes the frames with some numbers, counted from `start` on; the errors are those of `frames`."""
        last = max(numbers, default=-1)
        for number, seconds, frame in self._shown(start, end):
            if number in numbers:
                yield VideoFrame(number, seconds, upright(frame))
            if number >= last:
                return

    def count(self, *, start: float = 0.0, end: float | None = None) -> int:
        """How many frames there are in a part; they are decoded for it, as files do not say it for sure."""
        return sum(1 for _ in self._shown(start, end))

    def _shown(self, start: float, end: float | None) -> Iterator[tuple[int, float, Any]]:
        """Number, seconds and frame of what lies in a part."""
        number = 0
        for frame in self._decoded(start):
            seconds = self._seconds_of(frame, number)
            if end is not None and seconds > end:
                return
            if seconds >= start:
                yield number, seconds, frame
                number += 1

    def close(self) -> None:
        """Closes the file, after the frame that another thread may be decoding: FFmpeg would not wait for it."""
        with self._using:
            self._is_closed = True
            self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _decoded(self, start: float) -> Iterator[Any]:
        """Frame after frame; each is held back until the next one is there, as the last may be half a frame."""
        stream, last, held, number = self._stream, 0.0, None, 0
        try:
            if start > 0 and stream.time_base:
                self._container.seek(int(start / stream.time_base), stream=stream)
            frames = self._container.decode(stream)
            while (frame := self._next(frames)) is not None:
                self._check_size(frame.width, frame.height)
                if held is not None:
                    self.damaged += bool(held.is_corrupt)
                    yield held
                    last, number = self._seconds_of(held, number), number + 1
                held = frame
        except self._av.FFmpegError as error:
            if self._missing:
                raise self._cut_off(f"its pictures end at {last:.1f} seconds") from error
            raise InvalidInputError(
                f"{self.path} is damaged, or its frames are too large, after {last:.1f} seconds: {reason(error)}."
            ) from error
        if self._missing:
            raise self._cut_off(f"its pictures end at {last:.1f} seconds")
        if held is not None and held.is_corrupt:
            raise InvalidInputError(f"{self.path} is damaged, or was cut off, after {last:.1f} seconds.")
        if held is not None:
            yield held

    def _next(self, frames: Iterator[Any]) -> Any:
        """The next frame; None after the last, and once the file is closed."""
        with self._using:
            return None if self._is_closed else next(frames, None)

    @cached_property
    def _missing(self) -> int:
        """How many bytes the file is known to lack."""
        return missing_bytes(self.path)

    def _cut_off(self, consequence: str) -> InvalidInputError:
        return InvalidInputError(
            f"{self.path} was cut off: at least {self._missing} bytes are missing at its end, {consequence}. "
            "Copy the whole file again."
        )

    def _seconds_of(self, frame: Any, number: int) -> float:
        """When a frame is shown; without a time of its own by its number."""
        if frame.time is None:
            return number / float(self.rate)
        return float(frame.time) - self._begins

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._max_pixels:
            self.close()
            raise InvalidInputError(
                f"{self.path} has frames of {width} x {height} pixels, but the limit is {self._max_pixels} pixels."
            )


def rate_of(stream: Any) -> Fraction:
    """Frames per second of a stream of PyAV, as it says; 25 where it says nothing that can be."""
    rate = stream.average_rate or stream.guessed_rate
    return Fraction(rate) if rate is not None and 0 < rate <= _FASTEST else _USUAL_RATE


def upright(frame: Any) -> ByteArray:
    """The pixels of a frame of PyAV, uint8 [H, W, 3], RGB, turned as the camera's orientation says."""
    pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / _UPRIGHT)))


def reason(error: Exception) -> str:
    """What FFmpeg says, without its code and the path."""
    text = getattr(error, "strerror", None) or str(error)
    return str(text).rstrip(".").lower()
