"""Tags of a TIFF whose values are of another kind than the tag has, not numbers, or missing."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from camgraph_core.errors import InvalidInputError
from camgraph_runtime.preprocess import decode

_SHORT, _LONG, _FLOAT = 3, 4, 11
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _PLACES, _SAMPLES, _ROWS, _LENGTHS = (
    256, 257, 258, 259, 262, 273, 277, 278, 279,
)  # fmt: skip  # in a row
_SUBFILE, _TILE_WIDTH, _FORMAT = 254, 322, 339
PIXELS = np.arange(12, dtype=np.uint8).reshape(3, 4)
PLAIN = {
    _WIDTH: (_SHORT, 4), _HEIGHT: (_SHORT, 3), _BITS: (_SHORT, 8), _COMPRESSION: (_SHORT, 1), _PHOTOMETRIC: (_SHORT, 1),
    _PLACES: (_LONG, 8), _SAMPLES: (_SHORT, 1), _ROWS: (_SHORT, 3), _LENGTHS: (_LONG, 12),
}  # fmt: skip  # in rows
ODD = {"no number": float("nan"), "infinite": float("inf"), "a fraction": 3.5, "a float": 3.0}


def tiff(*pages: dict[int, tuple[int, float | None]]) -> bytes:
    """A file with pictures of the same pixels; each tag has a type and its one value, None for no value."""
    data, link = b"II*\0" + bytes(4) + PIXELS.tobytes(), 4
    for page in pages:
        data = data[:link] + struct.pack("<I", len(data)) + data[link + 4 :] + struct.pack("<H", len(page))
        for tag, (kind, value) in sorted(page.items()):
            form = "<f" if kind == _FLOAT else "<I"
            data += struct.pack("<HHI", tag, kind, value is not None) + struct.pack(form, value or 0)
        link = len(data)
        data += bytes(4)
    return data


@pytest.mark.parametrize("tag", [*PLAIN, _TILE_WIDTH, _FORMAT])
@pytest.mark.parametrize("odd", ODD)
def test_what_pixels_are_read_by_is_whole_numbers(tag: int, odd: str) -> None:
    with pytest.raises(InvalidInputError, match="The TIFF is damaged"):
        decode(tiff(PLAIN | {tag: (_FLOAT, ODD[odd])}), max_pixels=100)


@pytest.mark.parametrize("value", [(_LONG, None), *((_FLOAT, odd) for odd in ODD.values())])
def test_an_odd_kind_of_a_picture_that_follows_does_no_harm(value: tuple[int, float | None]) -> None:
    read = decode(tiff(PLAIN, PLAIN | {_SUBFILE: value}), max_pixels=100)
    assert np.array_equal(read[:, :, 0], PIXELS)
