"""Explanations of a clip: one of each frame, which share a scale, and pictures of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from camgraph_core.explanation import Explanation
from camgraph_core.png import encode_png
from camgraph_core.result import ClassScore
from camgraph_core.statistics import MapStatistics
from camgraph_core.types import ByteArray, FloatArray
from camgraph_runtime.pictures.panel import Tile, panel
from camgraph_runtime.video.writing import VideoWriter

_PER_SECOND = 8  # frames that are played of a clip whose times are not known
_MOST_TILES = 12


@dataclass(frozen=True, eq=False)
class ClipExplanation:
    """The explanation of one target over all frames.

    Attributes:
        frames: One explanation per frame, each on its own photo; heat of 1 is the hottest place of the whole clip.
        raw_maps: The signed map float32 [t, h, w] of each layer, before anything is done to it.
        names: What each frame is called: "0:01.5" of a video, "frame 12", "slice 12".
        times: Seconds from the first frame, for playing.

    """

    frames: Sequence[Explanation]
    raw_maps: Sequence[FloatArray] = field(repr=False)
    names: Sequence[str] = field(repr=False)
    times: Sequence[float] = field(repr=False)

    @property
    def target(self) -> ClassScore:
        """The class that the target resolved to."""
        return self.frames[0].target

    @property
    def statistics(self) -> MapStatistics:
        """Statistics of the raw maps."""
        return self.frames[0].statistics

    @property
    def title(self) -> str:
        """The target in words."""
        return self.frames[0].title

    @property
    def note(self) -> str:
        """Its numbers in words."""
        return self.frames[0].note

    @property
    def heatmap(self) -> FloatArray:
        """The heat in the frame of the photos, float32 [T, H, W], 0..1."""
        return np.stack([frame.heatmap for frame in self.frames])

    def overlays(self) -> list[ByteArray]:
        """The overlay on each frame, uint8 [H, W, 3], RGB."""
        return [frame.overlay() for frame in self.frames]

    def sheet(self) -> ByteArray:
        """A contact sheet of up to twelve frames, uint8 [H, W, 3], RGB."""
        every = -(-len(self.frames) // _MOST_TILES)
        tiles = [Tile(frame.overlay(), name, self.title) for frame, name in zip(self.frames, self.names, strict=True)]
        return panel(tiles[::every], colormap=self.frames[0].canvas.style.colormap)

    def save(self, path: str | Path) -> None:
        """Writes a contact sheet (.png), an animated picture (.gif), or a video (.mp4, .mkv, .mov, .webm).

        Raises:
            UsageError: The format is another, or of a video PyAV is not installed.

        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix == ".png":
            path.write_bytes(encode_png(self.sheet()))
        elif suffix == ".gif":
            first, *rest = map(Image.fromarray, self.overlays())
            steps = [max(round(1000 * step), 20) for step in np.diff(self.times)]
            first.save(path, save_all=True, append_images=rest, duration=[*steps, steps[-1] if steps else 1000], loop=0)
        else:
            length = self.times[-1] if len(self.times) > 1 else 1.0
            rate = Fraction((len(self.times) - 1 or 1) / (length or 1.0)).limit_denominator(1000)
            with VideoWriter(path, rate) as writer:
                for picture, seconds in zip(self.overlays(), self.times, strict=True):
                    writer.add(picture, seconds)


@dataclass(frozen=True, eq=False)
class ClipResult:
    """Explanations of one clip or volume.

    Attributes:
        predictions: Best first.
        explanations: One per target, in the order asked.
        numbers: Which frames of what was given the network got.
        seconds: When each is shown in the video; None of others.
        warnings: Remarks that a user should see, one sentence each.

    """

    predictions: list[ClassScore]
    explanations: list[ClipExplanation]
    numbers: Sequence[int]
    seconds: Sequence[float] | None
    warnings: list[str]


def played_at(seconds: Sequence[float] | None, count: int) -> list[float]:
    """When each frame is played: as in the video, or at an even pace; frames that come twice share their time."""
    if seconds is None or seconds[-1] <= seconds[0]:
        return [number / _PER_SECOND for number in range(count)]
    return [moment - seconds[0] for moment in seconds]
