"""The mix of colours and photo, computed for every pair of bytes once and then looked up.

A byte of an overlay depends on two bytes alone, the colour's and the photo's, and on the largest mix of the picture. So
the plain definition, in float32, is worked out for all 65536 pairs, and the pixels cost a look into a table. (The
sum of both bytes is not enough, not even for equal weights: float32 rounds 3/255 + 4/255 and 2/255 + 5/255 apart.)
"""

from __future__ import annotations

import numpy as np

from camgraph_core.tiles import Tile, tiles
from camgraph_core.types import AnyArray, ByteArray, FloatArray

_BYTES = 256
_PARTS = 4  # NumPy takes eight bytes for each place that is looked up, three for each pixel


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
    upper = colours.astype(np.uint16) << np.uint16(8)
    table = _as_bytes(mixes, _brightest(photo, levels, upper, mixes))
    picture = np.empty(photo.shape, np.uint8)
    height, width = levels.shape
    for tile in tiles(height, width, parts=_PARTS):
        np.take(table, _pairs(photo[tile], levels[tile], upper), out=picture[tile], mode="clip")
    return picture


def mixes_of_bytes(image_weight: float) -> FloatArray:
    """The mix of each pair of bytes, float32 [65536]; the colour's byte is the upper half of the index."""
    unit = np.arange(_BYTES, dtype=np.float32) / np.float32(255)
    mixes: FloatArray = np.add.outer(np.float32(1 - image_weight) * unit, np.float32(image_weight) * unit)
    return mixes.reshape(-1)


def paint(levels: ByteArray, colours: AnyArray) -> AnyArray:
    """The colour of each level: [H, W, 3] from levels uint8 [H, W] and colours [256, 3], of their element type."""
    return np.take(colours, levels, axis=0)


def _brightest(photo: ByteArray, levels: ByteArray, upper: AnyArray, mixes: FloatArray) -> np.float32:
    """The largest mix of the picture; tiles that cannot have it are left out."""
    bounds = [(_bound(photo[tile], levels[tile], upper, mixes), tile) for tile in tiles(*levels.shape)]
    brightest = np.float32(0)
    for bound, (rows, columns) in sorted(bounds, key=_first, reverse=True):
        if bound <= brightest:
            break
        for row in range(rows.start, rows.stop):
            brightest = max(brightest, mixes[_pairs(photo[row, columns], levels[row, columns], upper)].max())
    return brightest


def _bound(photo: ByteArray, levels: ByteArray, upper: AnyArray, mixes: FloatArray) -> np.float32:
    """What no mix of a tile exceeds: that of the brightest colour and the brightest photo of a channel."""
    painted = upper[int(levels.min()) : int(levels.max()) + 1].max(axis=0)
    largest: np.float32 = mixes[painted | photo.max(axis=0).max(axis=0)].max()
    return largest


def _first(pair: tuple[np.float32, Tile]) -> np.float32:
    return pair[0]


def _as_bytes(mixes: FloatArray, brightest: np.float32) -> ByteArray:
    """The bytes of the mixes; those that are larger than the brightest do not occur."""
    scaled = np.minimum(mixes, brightest)
    if brightest > 0:  # a black photo alone has nothing to rescale
        scaled = scaled / brightest
    return (np.float32(255) * scaled).astype(np.uint8)


def _pairs(photo: ByteArray, levels: ByteArray, upper: AnyArray) -> AnyArray:
    """For each byte of the photo its place in a table of pairs, uint16 [..., 3], with the colours as upper bytes."""
    pairs = paint(levels, upper)
    pairs |= photo
    return pairs
