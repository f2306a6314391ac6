"""The mix of colours and photo, computed for every pair of bytes once and then looked up.

A byte of an overlay depends on two bytes alone, the colour's and the photo's, and on the largest mix of the picture. So
the plain definition, in float32, is worked out for all 65536 pairs, and the pixels cost a look into a table. (The
sum of both bytes is not enough, not even for equal weights: float32 rounds 3/255 + 4/255 and 2/255 + 5/255 apart.)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from camgraph_core.tiles import Tile, tiles
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
    return _drawn(photo, levels, _by_level(_as_bytes(mixes, _brightest(photo, levels, colours, mixes)), colours))


def veil(photo: ByteArray, levels: ByteArray, colours: ByteArray, image_weight: float) -> ByteArray:
    """The colours of a map's levels over the photo, the more opaque the hotter: the photo stays where the map is cold.

    A pixel is photo + a * (colour - photo), rounded, with a = (1 - image_weight ** 2) * sqrt(level / 255): at equal
    weights the hottest pixel has a quarter of the photo. Nothing is rescaled.

    Args:
        photo: uint8 [H, W, 3].
        levels: uint8 [H, W].
        colours: The colour of each level, uint8 [256, 3], channels as in the photo.
        image_weight: Weight of the photo against the colours, 0..1.

    Returns:
        uint8 [H, W, 3].

    """
    opacity = (1 - image_weight**2) * np.sqrt(np.arange(_BYTES) / 255)
    bytes_ = np.arange(_BYTES, dtype=np.float64)
    covered = bytes_ + opacity[:, None] * (colours.T[:, :, None] - bytes_)  # [3, level, byte of the photo]
    return _drawn(photo, levels, np.rint(covered).astype(np.uint8).reshape(colours.shape[1], -1))


def mixes_of_bytes(image_weight: float) -> FloatArray:
    """The mix of each pair of bytes, float32 [256, 256]; the colour's byte comes first."""
    unit = np.arange(_BYTES, dtype=np.float32) / np.float32(255)
    mixes: FloatArray = np.add.outer(np.float32(1 - image_weight) * unit, np.float32(image_weight) * unit)
    return mixes


def paint(levels: ByteArray, colours: AnyArray) -> AnyArray:
    """The colour of each level: [H, W, 3] from levels uint8 [H, W] and colours [256, 3], of their element type."""
    return np.take(colours, levels, axis=0)


def _drawn(photo: ByteArray, levels: ByteArray, table: AnyArray) -> ByteArray:
    """The picture that a table by level gives."""
    picture = np.empty(photo.shape, np.uint8)
    for tile in tiles(*levels.shape):
        for channel, mixed in enumerate(_looked_up(table, photo[tile], levels[tile])):
            picture[tile][:, :, channel] = mixed
    return picture


def _by_level(table: AnyArray, colours: ByteArray) -> AnyArray:
    """A table of pairs of bytes [256, 256] as one of pairs of level and photo, for each channel: [3, 65536]."""
    return table[colours.T].reshape(colours.shape[1], -1)


def _looked_up(table: AnyArray, photo: ByteArray, levels: ByteArray) -> Iterator[AnyArray]:
    """What a table by level has for a tile, channel by channel, each [h, w]."""
    rows = levels.astype(np.intp) << 8
    for channel, of_channel in enumerate(table):
        yield np.take(of_channel, rows + photo[:, :, channel], mode="clip")


def _brightest(photo: ByteArray, levels: ByteArray, colours: ByteArray, mixes: FloatArray) -> np.float32:
    """The largest mix of the picture; tiles that cannot have it are left out."""
    bounds = [(_bound(photo[tile], levels[tile], colours, mixes), tile) for tile in tiles(*levels.shape)]
    table = _by_level(mixes, colours)
    brightest = np.float32(0)
    for bound, tile in sorted(bounds, key=_first, reverse=True):
        if bound <= brightest:
            break
        brightest = max(brightest, *(mixed.max() for mixed in _looked_up(table, photo[tile], levels[tile])))
    return brightest


def _bound(photo: ByteArray, levels: ByteArray, colours: ByteArray, mixes: FloatArray) -> np.float32:
    """What no mix of a tile exceeds: that of the brightest colour and the brightest photo of a channel."""
    painted = colours[int(levels.min()) : int(levels.max()) + 1].max(axis=0)
    largest: np.float32 = mixes[painted, photo.max(axis=0).max(axis=0)].max()
    return largest


def _first(pair: tuple[np.float32, Tile]) -> np.float32:
    return pair[0]


def _as_bytes(mixes: FloatArray, brightest: np.float32) -> ByteArray:
    """The bytes of the mixes; those that are larger than the brightest do not occur."""
    scaled = np.minimum(mixes, brightest)
    if brightest > 0:  # a black photo alone has nothing to rescale
        scaled = scaled / brightest
    return (np.float32(255) * scaled).astype(np.uint8)
