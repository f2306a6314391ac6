"""A photo that was decoded at a fraction of its size, and where it lies in the pixels that this gave."""

from __future__ import annotations

from dataclasses import dataclass

from camgraph_core.frame import Size
from camgraph_core.types import ByteArray


@dataclass(frozen=True)
class Span:
    """A part of an axis of pixels, in continuous positions: pixel i covers [i, i + 1)."""

    start: float
    length: float


@dataclass(frozen=True)
class Area:
    """A part of a picture, which may end inside a pixel."""

    rows: Span
    columns: Span

    @classmethod
    def whole(cls, size: Size) -> Area:
        """All of a picture of this height and width."""
        return cls(Span(0, size[0]), Span(0, size[1]))


@dataclass(frozen=True, eq=False)
class ScaledPhoto:
    """An upright photo that was decoded at a fraction of its size.

    Attributes:
        pixels: uint8 [h, w, 3], RGB.
        area: Where the photo lies in them: the last pixel of an axis may go beyond it.

    """

    pixels: ByteArray
    area: Area

    def serves(self, size: Size) -> bool:
        """Whether a picture of a size can be made of it without enlarging it."""
        return size[0] <= self.area.rows.length and size[1] <= self.area.columns.length
