"""Pictures no larger than somebody wants to see them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camgraph_core.frame import Size
from camgraph_core.types import AnyArray, ByteArray, FloatArray

_PIXELS_PER_BAND = 1 << 14  # of rows of the photo's width, in float32


def shrunk(photo: ByteArray, size: Size) -> ByteArray:
    """The photo, uint8 [H, W, 3], at a smaller size: each pixel the mean of the area that it covers, rounded."""
    if photo.shape[:2] == size:
        return photo
    down, across = _Shares.of(photo.shape[0], size[0]), _Shares.of(photo.shape[1], size[1])
    small = np.empty((*size, photo.shape[2]), np.uint8)
    step = max(1, _PIXELS_PER_BAND // photo.shape[1])
    for top in range(0, size[0], step):
        rows = range(top, min(top + step, size[0]))
        wide = np.stack([_mean_of_rows(photo, down, row) for row in rows])
        small[rows.start : rows.stop] = np.rint(_means_of_columns(wide, across))
    return small


def shrunk_mask(mask: ByteArray, size: Size) -> ByteArray:
    """A mask [H, W] at a smaller size, uint8: 255 where at least half of the area that a pixel covers is inside."""
    if mask.shape == size:
        return mask
    share = shrunk(np.where(mask != 0, np.uint8(255), np.uint8(0))[:, :, None], size)[:, :, 0]
    return np.where(share >= 128, 255, 0).astype(np.uint8)


@dataclass(frozen=True)
class _Shares:
    """Which pixels of an axis the pixels of a shorter one cover, and with which share of their own length.

    Attributes:
        first: The first pixel that each covers, [m].
        weights: The shares of it and of those after it, float32 [m, k]; 0 for those that are not covered.

    """

    first: AnyArray
    weights: FloatArray

    @classmethod
    def of(cls, have: int, want: int) -> _Shares:
        length = have / want
        start = np.arange(want) * length
        # Where a border lies on a pixel's border, rounding must not add the pixel before it.
        first = np.minimum(np.floor(start + 1e-9).astype(np.intp), have - 1)
        pixels = first[:, None] + np.arange(int(np.ceil(length)) + 1)
        covered = np.minimum(start[:, None] + length, pixels + 1) - np.maximum(start[:, None], pixels)
        return cls(first, (np.clip(covered, 0, 1) / length).astype(np.float32))


def _mean_of_rows(photo: ByteArray, down: _Shares, row: int) -> FloatArray:
    """One row of the result, of all columns of the photo: float32 [W, C]."""
    first = down.first[row]
    covered = photo[first : first + down.weights.shape[1]]
    flat = covered.reshape(len(covered), -1).astype(np.float32)
    return (down.weights[row, : len(covered)] @ flat).reshape(photo.shape[1:])


def _means_of_columns(wide: FloatArray, across: _Shares) -> FloatArray:
    """All columns of the result, float32 [h, w, C]."""
    means = np.zeros((wide.shape[0], len(across.first), wide.shape[2]), np.float32)
    for number, weights in enumerate(across.weights.T):
        columns = np.minimum(across.first + number, wide.shape[1] - 1)
        means += wide[:, columns] * weights[:, None]
    return means
