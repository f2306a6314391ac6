"""A contact sheet of a video: a few pictures from all over it, while its length is not known beforehand."""

from __future__ import annotations

from pathlib import Path

from camgraph_core.png import encode_png
from camgraph_core.types import ByteArray
from camgraph_runtime.pictures.panel import Tile, panel

_MOST = 12  # pictures on a sheet
_SIDE = 560  # of a picture, in pixels


class ContactSheet:
    """Keeps one picture of so many, and of these every second one where they become too many."""

    def __init__(self) -> None:
        self._tiles: list[Tile] = []
        self._step, self._seen = 1, 0

    def add(self, picture: ByteArray, seconds: float, title: str) -> None:
        """Takes note of a picture, uint8 [H, W, 3], RGB."""
        if self._seen % self._step == 0:
            shrink = max(1, -(-max(picture.shape[:2]) // _SIDE))
            self._tiles.append(Tile(picture[::shrink, ::shrink].copy(), clock(seconds), title))
            if len(self._tiles) == 2 * _MOST:
                self._tiles, self._step = self._tiles[::2], 2 * self._step
        self._seen += 1

    def save(self, path: Path, colormap: str) -> None:
        """Writes the sheet as PNG."""
        every = -(-len(self._tiles) // _MOST)
        path.write_bytes(encode_png(panel(self._tiles[::every], colormap=colormap)))


def clock(seconds: float) -> str:
    """A time for people: "1:04.5"."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"
