"""Pictures no larger than somebody wants to see them."""

from __future__ import annotations

import numpy as np

from camgraph_core.frame import Size
from camgraph_core.scaled import Area, Span
from camgraph_core.types import AnyArray, ByteArray, FloatArray

_ROWS = 8  # of the result, worked out at a time
_PRODUCTS = 1 << 18
"""Numbers multiplied in one product of matrices. For more, OpenBLAS would wake all threads, which burn their cores."""


def shrunk(photo: ByteArray, size: Size, area: Area | None = None) -> ByteArray:
    """The photo at a smaller size: each pixel the mean of the area that it covers, rounded.

    Args:
        photo: uint8 [H, W, C].
        size: Height and width of the result.
        area: What of ``photo`` is shrunk; by default all of it.

    Returns:
        uint8 [h, w, C].

    """
    whole = Area.whole((photo.shape[0], photo.shape[1]))
    area = area or whole
    if photo.shape[:2] == size and area == whole:
        return photo
    channels = photo.shape[2]
    rows, shares = _covered(photo.shape[0], size[0], area.rows)
    columns, widths = _covered(photo.shape[1], size[1], area.columns)
    places = (columns[:, :, None] * channels + np.arange(channels)).reshape(len(columns), -1)
    widths = np.repeat(widths, channels, axis=1)
    small = np.empty((size[0], size[1] * channels), np.uint8)
    for top in range(0, size[0], _ROWS):
        band = slice(top, min(top + _ROWS, size[0]))
        wide = _means_of_rows(photo, rows[:, band], shares[:, band])
        small[band] = np.rint(_means_of_columns(wide, places, widths))
    return small.reshape(*size, channels)


def _covered(have: int, want: int, span: Span) -> tuple[AnyArray, FloatArray]:
    """The pixels of an axis that those of a shorter one cover, [k, m], and their share of each, float32 [k, m]."""
    length = span.length / want
    start = span.start + np.arange(want) * length
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
    flat = read.reshape(len(read), -1)
    means = np.empty((len(weights), flat.shape[1]), np.float32)
    step = max(1, _PRODUCTS // weights.size)
    for left in range(0, flat.shape[1], step):
        part = slice(left, left + step)
        np.matmul(weights, flat[:, part].astype(np.float32), out=means[:, part])
    return means


def _means_of_columns(wide: FloatArray, places: AnyArray, widths: FloatArray) -> FloatArray:
    """All columns of the result, float32 [h, w * C]; ``places`` [k, w * C] are the values that they cover."""
    means = np.zeros((len(wide), places.shape[1]), np.float32)
    part = np.empty_like(means)
    for covered, share in zip(places, widths, strict=True):
        np.take(wide, covered, axis=1, out=part, mode="clip")
        part *= share
        means += part
    return means
