"""Where the photo lies in the network's input, and the way back onto the photo."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from camgraph_core.errors import UsageError
from camgraph_core.rectangle import Rectangle
from camgraph_core.types import AnyArray, ByteArray, FloatArray

Size = tuple[int, int]


@dataclass(frozen=True)
class Axis:
    """Where one axis of the photo lies in the network's input: position = scale * photo position + offset.

    Positions are continuous: pixel i covers [i, i + 1). ``photo`` and ``network`` are the axis's lengths in
    pixels.
    """

    photo: int
    network: int
    scale: float = 1.0
    offset: float = 0.0

    def resized(self, length: int) -> Axis:
        """After a resize of the whole axis to ``length`` pixels."""
        factor = length / self.network
        return replace(self, network=length, scale=self.scale * factor, offset=self.offset * factor)

    def placed(self, start: int, length: int) -> Axis:
        """After a cut (or, with a negative ``start``, a padding) to ``length`` pixels from ``start``."""
        return replace(self, network=length, offset=self.offset - start)

    def taps(self) -> tuple[AnyArray, AnyArray, FloatArray, AnyArray]:
        """A photo pixel's two network pixels, the weight of the second, and whether it is inside."""
        centres = self.scale * (np.arange(self.photo) + 0.5) + self.offset
        position = np.clip(centres - 0.5, 0, self.network - 1)
        lower = np.floor(position).astype(np.intp)
        upper = np.minimum(lower + 1, self.network - 1)
        return lower, upper, (position - lower).astype(np.float32), (centres >= 0) & (centres < self.network)

    @property
    def seen(self) -> slice:
        """The photo's pixels whose middle lies on the network's axis."""
        return _span(self.taps()[3])

    @property
    def filled(self) -> slice:
        """The network's pixels whose middle lies on the photo's axis, and not beside it as in a letterbox."""
        return _span(self.on_photo(np.arange(self.network) + 0.5)[1])

    def then(self, other: Axis) -> Axis:
        """The axis of the photo on what lies on the network's axis as ``other`` says."""
        return Axis(self.photo, other.network, self.scale * other.scale, other.scale * self.offset + other.offset)

    def photo_position(self, position: float) -> float:
        """Where a position on the network's axis lies on the photo's, cut to it."""
        return float(np.clip((position - self.offset) / self.scale, 0, self.photo))

    def on_photo(self, positions: AnyArray) -> tuple[AnyArray, AnyArray]:
        """For each position on the network's axis that on the photo's, and whether the network sees the photo there."""
        found = (positions - self.offset) / self.scale
        return found, (found >= 0) & (found < self.photo) & (positions >= 0) & (positions < self.network)

    def pixels(self, positions: AnyArray) -> tuple[AnyArray, AnyArray]:
        """For each position on the network's axis the photo's pixel there, and whether the network sees it."""
        found, inside = self.on_photo(positions)
        return np.clip(np.floor(found).astype(np.intp), 0, self.photo - 1), inside


@dataclass(frozen=True)
class Frame:
    """Where the photo lies in the network's input: one `Axis` a direction."""

    vertical: Axis
    horizontal: Axis

    @classmethod
    def identity(cls, height: int, width: int) -> Frame:
        """The frame of a photo that is the network's input."""
        return cls(Axis(height, height), Axis(width, width))

    @property
    def photo_size(self) -> tuple[int, int]:
        """Height and width of the photo."""
        return self.vertical.photo, self.horizontal.photo

    @property
    def network_size(self) -> tuple[int, int]:
        """Height and width of the network's input."""
        return self.vertical.network, self.horizontal.network

    @property
    def seen(self) -> tuple[slice, slice]:
        """Rows and columns of the photo's pixels that the network sees."""
        return self.vertical.seen, self.horizontal.seen

    def on_photo(self, rectangle: Rectangle) -> Rectangle:
        """A rectangle of the network's input on the photo, cut to it."""
        across, down = self.horizontal, self.vertical
        return Rectangle(
            across.photo_position(rectangle.left),
            down.photo_position(rectangle.top),
            across.photo_position(rectangle.right),
            down.photo_position(rectangle.bottom),
        )

    def nearest(self, mask: ByteArray, down: AnyArray, across: AnyArray) -> ByteArray:
        """A mask of the photo [H, W] at a grid of positions [h] and [w] on the network's input: uint8 [h, w].

        Each cell takes the photo's pixel at its position; cells outside the photo are 0.
        """
        rows, on_rows = self.vertical.pixels(down)
        columns, on_columns = self.horizontal.pixels(across)
        laid: ByteArray = mask[rows[:, None], columns[None, :]]
        return np.where(on_rows[:, None] & on_columns[None, :], laid, 0).astype(np.uint8)


def _span(inside: AnyArray) -> slice:
    """Where the elements of an axis are true, which stand in a row; empty if none are."""
    places = np.flatnonzero(inside)
    return slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0, 0)


def of_shrunk_photo(frame: Frame, size: Size) -> Frame:
    """The frame of a photo after it was shrunk to a size; the network's input stays where it is on it."""
    height, width = size
    return Frame(_of_shrunk(frame.vertical, height), _of_shrunk(frame.horizontal, width))


def _of_shrunk(axis: Axis, length: int) -> Axis:
    return axis if axis.photo == length else replace(axis, photo=length, scale=axis.scale * axis.photo / length)


def fitted(size: Size, max_side: int | None) -> Size:
    """Height and width of a picture whose longer side is at most ``max_side``; None keeps them. Nothing is enlarged.

    Raises:
        UsageError: The side is smaller than one pixel.

    """
    if max_side is None:
        return size
    if max_side < 1:
        raise UsageError(f"The longest side of a picture is {max_side}; it must be 1 pixel at least.")
    height, width = size
    factor = min(1.0, max_side / max(size))
    return max(1, round(height * factor)), max(1, round(width * factor))
