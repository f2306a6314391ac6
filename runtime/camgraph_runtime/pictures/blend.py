"""The mix of colours and photo, computed for every pair of bytes once and then looked up.

A byte of an overlay depends on two bytes alone, the colour's and the photo's, and on the largest mix of the picture. So
the plain definition, in float32, is worked out for all 65536 pairs, and the pixels cost two looks into a table. (The
sum of both bytes is not enough, not even for equal weights: float32 rounds 3/255 + 4/255 and 2/255 + 5/255 apart.)
"""

from __future__ import annotations

import sys
from functools import cache

import cv2
import numpy as np

from camgraph_core.tiles import tiles
from camgraph_core.types import AnyArray, ByteArray, FloatArray

_BYTES = 256


def blend(photo: ByteArray, levels: ByteArray, colours: ByteArray, image_weight: float) -> ByteArray:
    """The colours of a map's levels mixed into the photo, divided by the largest mix, and truncated to bytes.

    Args:
        photo: uint8 [H, W, 3].
        levels: uint8 [H, W].
        colours: The colour of each level, uint8 [256, 3], channels as in the photo.
        image_weight: Weight of the photo against the colours, 0..1.

    Returns:
        uint8 [H, W, 3].

    """
    mixes = mixes_of_bytes(image_weight)
    brightest = np.float32(0)
    for tile in tiles(*levels.shape):
        brightest = max(brightest, look_up(mixes, _pairs(photo[tile], levels[tile], colours)).max())
        if brightest == mixes[-1]:  # white on white: no other tile can be brighter
            break
    table = _as_bytes(mixes, brightest)
    picture = np.empty(photo.shape, np.uint8)
    for tile in tiles(*levels.shape):
        part = picture[tile]
        part[:] = look_up(table, _pairs(photo[tile], levels[tile], colours)).reshape(part.shape)
    return picture


def mixes_of_bytes(image_weight: float) -> FloatArray:
    """The mix of each pair of bytes, float32 [65536]; the colour's byte is the upper half of the index."""
    unit = np.arange(_BYTES, dtype=np.float32) / np.float32(255)
    mixes: FloatArray = np.add.outer(np.float32(1 - image_weight) * unit, np.float32(image_weight) * unit)
    return mixes.reshape(-1)


def _as_bytes(mixes: FloatArray, brightest: np.float32) -> ByteArray:
    """The bytes of the mixes; those that are larger than the brightest do not occur."""
    scaled = np.minimum(mixes, brightest)
    if brightest > 0:  # a black photo alone has nothing to rescale
        scaled = scaled / brightest
    return (np.float32(255) * scaled).astype(np.uint8)


def _pairs(photo: ByteArray, levels: ByteArray, colours: ByteArray) -> AnyArray:
    """For each byte of the photo its place in a table of pairs, uint16 [h, 3 w]."""
    flat = len(photo), -1
    low, high = photo.reshape(flat), paint(levels, colours).reshape(flat)
    # The bytes side by side are the number; shifting one and adding the other takes twice as long.
    both: ByteArray = np.asarray(cv2.merge([low, high] if sys.byteorder == "little" else [high, low]), np.uint8)
    return both.view(np.uint16)[:, :, 0]


def paint(levels: ByteArray, colours: ByteArray) -> ByteArray:
    """The colour of each level: uint8 [H, W, 3] from levels uint8 [H, W] and colours uint8 [256, 3]."""
    painted: ByteArray = np.asarray(cv2.applyColorMap(levels, colours[:, None]), np.uint8)
    return painted


def look_up(table: AnyArray, index: AnyArray) -> AnyArray:
    """``table[index]`` for a table of 65536 entries and an index of uint16."""
    return cv2.LUT(index, table[None]) if _opencv_takes_wide_indices() else np.take(table, index)


@cache
def _opencv_takes_wide_indices() -> bool:
    """Whether this OpenCV looks up by 16 bits, which is more than twice as fast as NumPy; version 5 does."""
    try:
        cv2.LUT(np.zeros((1, 1), np.uint16), np.zeros((1, _BYTES * _BYTES), np.uint8))
    except cv2.error:
        return False
    return True
