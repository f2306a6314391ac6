"""How people see an image of bands: which of them as red, green and blue, and what is black and white in each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camgraph_core.types import AnyArray, ByteArray

LARGEST = 1e30
"""The largest value of an image, so that differences and quotients stay finite in float32; beyond it is no data."""


@dataclass(frozen=True)
class Shown:
    """How an image of bands is shown.

    Attributes:
        bands: Indices of the channels that people see: one as grey, or three as red, green and blue.
        low: The value of each that is black.
        high: The value of each that is white.
        nodata: The value that stands for no data, beside what is not a finite number.
        channel_axis: Of a ready tensor [1, ...] the axis of the channels, 1 or 3, or 0 for [1, H, W]; None of an image
            [H, W, C].

    """

    bands: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    nodata: float | None = None
    channel_axis: int | None = None

    def picture(self, pixels: AnyArray) -> ByteArray:
        """The picture for people, uint8 [H, W, 3], of an image [H, W, C] or a ready tensor; black without data.

        Raises:
            ValueError: The image has not these bands.

        """
        pixels = as_image(pixels, self.channel_axis)
        if max(self.bands) >= pixels.shape[2]:
            raise ValueError(f"there is no band {max(self.bands)} of {pixels.shape[2]}")
        drawn = np.empty((*pixels.shape[:2], len(self.bands)), np.uint8)
        for place, (band, low, high) in enumerate(zip(self.bands, self.low, self.high, strict=True)):
            values = pixels[:, :, band].astype(np.float32)
            values[lacking(values, self.nodata)] = low
            values -= np.float32(low)
            values *= np.float32(255 / (high - low) if high > low else 0)
            drawn[:, :, place] = np.rint(np.clip(values, 0, 255, out=values))
        return drawn if drawn.shape[2] == 3 else np.repeat(drawn, 3, axis=2)

    def missing(self, pixels: AnyArray) -> AnyArray | None:
        """Where no band has data, bool [H, W]; None where that is nowhere."""
        found = np.asarray(lacking(as_image(pixels, self.channel_axis), self.nodata).all(axis=2))
        return found if found.any() else None


def as_image(pixels: AnyArray, channel_axis: int | None) -> AnyArray:
    """An image [H, W, C] of one, of [H, W], or of a ready tensor whose channels have this axis; see `Shown`."""
    if channel_axis is not None:
        [pixels] = pixels
        pixels = pixels.transpose(1, 2, 0) if channel_axis == 1 else pixels
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def lacking(values: AnyArray, nodata: float | None) -> AnyArray:
    """Which values are no data: those that are not finite, or no values of an image, and those equal to ``nodata``."""
    found: AnyArray = ~(np.abs(values) <= LARGEST) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
    if nodata is not None and np.isfinite(nodata):
        found |= values == (values.dtype.type(nodata) if values.dtype.kind == "f" else nodata)
    return found
