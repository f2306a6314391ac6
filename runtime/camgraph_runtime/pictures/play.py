"""Pictures of a whole clip: a contact sheet, and files that play it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from camgraph_core.clips import ClipExplanation
from camgraph_core.types import ByteArray
from camgraph_runtime.pictures.panel import Tile, panel
from camgraph_runtime.video.writing import VideoWriter

_MOST_TILES = 12


def clip_sheet(clip: ClipExplanation) -> ByteArray:
    """A contact sheet of up to twelve frames, uint8 [H, W, 3], RGB."""
    every = -(-len(clip.frames) // _MOST_TILES)
    shown = list(zip(clip.frames, clip.names, strict=True))[::every]
    tiles = [Tile(frame.overlay(), name, clip.title) for frame, name in shown]
    return panel(tiles, colormap=clip.canvases[0].style.colormap)


def play_clip(clip: ClipExplanation, path: Path) -> None:
    """Writes an animated picture (.gif) or a video (.mp4, .mkv, .mov, .webm).

    Raises:
        UsageError: The format is another, or of a video PyAV is not installed.

    """
    times = clip.taken.times
    if path.suffix.lower() == ".gif":
        first, *rest = map(Image.fromarray, clip.overlays())
        steps = [max(round(1000 * step), 20) for step in np.diff(times)]
        first.save(path, save_all=True, append_images=rest, duration=[*steps, steps[-1] if steps else 1000], loop=0)
        return
    length = times[-1] if len(times) > 1 else 1.0
    rate = Fraction((len(times) - 1 or 1) / (length or 1.0)).limit_denominator(1000)
    with VideoWriter(path, rate) as writer:
        for picture, seconds in zip(clip.overlays(), times, strict=True):
            writer.add(picture, seconds)
