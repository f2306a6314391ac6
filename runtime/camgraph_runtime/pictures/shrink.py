"""Pictures no larger than somebody wants to see them."""

from __future__ import annotations

import numpy as np

from camgraph_core.frame import Size
from camgraph_core.types import AnyArray, ByteArray, FloatArray

_ROWS = 4  # of the result, worked out at a time


def shrunk(photo: ByteArray, size: Size) -> ByteArray:
    """The photo, uint8 [H, W, C], at a smaller size: each pixel the mean of the area that it covers, rounded."""
    if photo.shape[:2] == size:
        return photo
    channels = photo.shape[2]
    rows, shares = _covered(photo.shape[0], size[0])
    columns, widths = _covered(photo.shape[1], size[1])
    values = columns[:, :, None] * channels + np.arange(channels)
    small = np.empty((size[0], size[1] * channels), np.uint8)
    for top in range(0, size[0], _ROWS):
        band = slice(top, min(top + _ROWS, size[0]))
        wide = _means_of_rows(photo, rows[:, band], shares[:, band])
        small[band] = np.rint(_means_of_columns(wide, values, widths))
    return small.reshape(*size, channels)


def shrunk_mask(mask: ByteArray, size: Size) -> ByteArray:
    """A mask [H, W] at a smaller size, uint8: 255 where at least half of the area that a pixel covers is inside."""
    if mask.shape == size:
        return mask
    share = shrunk(np.where(mask != 0, np.uint8(255), np.uint8(0))[:, :, None], size)[:, :, 0]
    return np.where(share >= 128, 255, 0).astype(np.uint8)


def _covered(have: int, want: int) -> tuple[AnyArray, FloatArray]:
    """The pixels of an axis that those of a shorter one cover, [k, m], and their share of each, float32 [k, m]."""
    length = have / want
    start = np.arange(want) * length
    # Where a border lies on a pixel's border, rounding must not add the pixel before it.
    pixels = np.floor(start + 1e-9).astype(np.intp) + np.arange(int(np.ceil(length)) + 1)[:, None]
    covered = np.minimum(start + length, pixels + 1) - np.maximum(start, pixels)
    return np.minimum(pixels, have - 1), (np.clip(covered, 0, 1) / length).astype(np.float32)


def _means_of_rows(photo: ByteArray, rows: AnyArray, shares: FloatArray) -> FloatArray:
    """Some rows of the result, of all columns of the photo: float32 [h, W * C]."""
    first = rows.min()
    read = photo[first : rows.max() + 1]
    weights = np.zeros((rows.shape[1], len(read)), np.float32)
    np.add.at(weights, (np.arange(rows.shape[1]), rows - first), shares)
    means: FloatArray = weights @ read.reshape(len(read), -1).astype(np.float32)
    return means


def _means_of_columns(wide: FloatArray, values: AnyArray, widths: FloatArray) -> FloatArray:
    """All columns of the result, float32 [h, w * C]; ``values`` are the places [k, w, C] of what they cover."""
    means = np.zeros((len(wide), values[0].size), np.float32)
    for places, share in zip(values, widths, strict=True):
        means += np.take(wide, places.reshape(-1), axis=1) * np.repeat(share, places.shape[1])
    return means
