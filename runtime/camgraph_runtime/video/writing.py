"""Writes a video file picture by picture."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np

from camgraph_core.errors import UsageError
from camgraph_core.types import ByteArray
from camgraph_runtime.video.library import pyav

# By the end of the name: the container, and the codecs of which the first that is there is taken.
_KINDS = {
    ".mp4": ("mp4", ("libx264", "h264", "mpeg4")),
    ".mov": ("mov", ("libx264", "h264", "mpeg4")),
    ".mkv": ("matroska", ("libx264", "h264", "mpeg4")),
    ".webm": ("webm", ("libvpx-vp9", "libvpx")),
}
_TICKS = 90_000  # per second, in which times are written


class VideoWriter:
    """A video that is written; used with ``with``. The file is there when all of it is, or when the user stops.

    Args:
        path: The file; its end says the format: .mp4, .mov, .mkv or .webm.
        rate: Pictures per second, for players; each picture has a time of its own.

    Raises:
        UsageError: The format is another, PyAV is not installed, or the file cannot be written.

    """

    def __init__(self, path: str | Path, rate: Fraction) -> None:
        self._av, self.path, self._rate = pyav(), Path(path), rate
        if self.path.suffix.lower() not in _KINDS:
            raise UsageError(f"A video is written as {', '.join(_KINDS)}, not as {self.path.name!r}.")
        self._format, codecs = _KINDS[self.path.suffix.lower()]
        self._codec = next(codec for codec in codecs if codec in self._av.codecs_available)
        self._part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        self._container: Any = None
        self._stream: Any = None
        self._last = -1

    def add(self, picture: ByteArray, seconds: float) -> None:
        """Writes a picture, uint8 [H, W, 3], RGB, as large as the first one, that is shown from some second on."""
        if self._stream is None:
            self._open(picture.shape[0], picture.shape[1])
        frame = self._av.VideoFrame.from_ndarray(self._fitted(picture), format="rgb24")
        # Times only grow.
        self._last = max(round(seconds * _TICKS), self._last + 1)
        frame.pts, frame.time_base = self._last, Fraction(1, _TICKS)
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._container is None:
            return
        if kind is not None and kind is not KeyboardInterrupt:
            self._container.close()
            self._part.unlink(missing_ok=True)  # nothing was written yet, perhaps
            return
        for packet in self._stream.encode():
            self._container.mux(packet)
        self._container.close()
        self._part.replace(self.path)

    def _open(self, height: int, width: int) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._container = self._av.open(str(self._part.resolve()), "w", format=self._format)
        except OSError as error:
            raise UsageError(f"{self.path} cannot be written: {error.strerror}.") from error
        self._stream = self._container.add_stream(self._codec, rate=self._rate)
        # Colours are stored for blocks of 2 x 2 pixels.
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, _TICKS)

    def _fitted(self, picture: ByteArray) -> ByteArray:
        """The picture in the size of the first one: cut, or with its edge repeated."""
        height, width = self._stream.height, self._stream.width
        cut = picture[:height, :width]
        beyond = ((0, height - cut.shape[0]), (0, width - cut.shape[1]), (0, 0))
        return np.ascontiguousarray(np.pad(cut, beyond, mode="edge"))
