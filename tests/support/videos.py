"""Short videos for tests."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

TICKS = 600


def write_video(path: Path, frames: Sequence[np.ndarray], *, times: Sequence[float] | None = None) -> Path:
    """Write frames, uint8 [H, W, 3] with even sides, 10 a second or at the given seconds, nearly without loss."""
    times = [number / 10 for number in range(len(frames))] if times is None else times
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"qp": "4"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv444p"
        stream.codec_context.time_base = Fraction(1, TICKS)
        for pixels, seconds in zip(frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = round(seconds * TICKS), Fraction(1, TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read_video(path: Path) -> list[tuple[float, np.ndarray]]:
    """Return the seconds and the pixels of each frame, by PyAV alone."""
    with av.open(str(path)) as container:
        return [(float(frame.time or 0), frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def turned(path: Path) -> Path:
    """Write the orientation of a camera held upright into an MP4: players turn it by 90 degrees, clockwise."""
    data = bytearray(path.read_bytes())
    # The matrix of the track's header: 36 bytes, before its width and height, which end the box.
    start = data.index(b"tkhd") - 4
    end = start + int.from_bytes(data[start : start + 4])
    numbers = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30]
    data[end - 44 : end - 8] = b"".join(number.to_bytes(4, signed=True) for number in numbers)
    path.write_bytes(data)
    return path
