"""Files that cost more than they weigh."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

from support.serving import blank_png, photo

_PNG = b"\x89PNG\r\n\x1a\n"


def odd_pictures(size: float) -> dict[str, bytes]:
    """Each by its name; `size` makes them smaller."""
    return {
        "many pixels": blank_png(*_sides(7000, 7000, size)),
        "one long row": blank_png(*_sides(1_000_000, 40, size)),
        "pixels that are promised": _png(40_000, 40_000, zlib.compress(bytes(1000))),
        "empty chunks": _png(64, 64, zlib.compress(bytes(64 * 193)), _chunk(b"teXt", b"") * int(1_500_000 * size)),
        "text that swells": _png(64, 64, zlib.compress(bytes(64 * 193)), _swelling_text(int(200_000_000 * size))),
        "scans without end": _many_scans(int(600 * size) + 1),
        "notes of 28 MB": _long_notes(int(430 * size) + 1),
        "a wide GIF": _saved("GIF", *_sides(20_000, 700, size)),
        "a TIFF of 16 bits": _tiff(int(1500 * size) + 8),
        "half a file": blank_png(3000, 3000)[:-200],
        "noise": np.random.default_rng(0).bytes(int(1_000_000 * size)),
    }


def _sides(width: int, height: int, size: float) -> tuple[int, int]:
    return int(width * size**0.5) + 1, int(height * size**0.5) + 1


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int, pixels: bytes, between: bytes = b"") -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return _PNG + header + between + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _swelling_text(length: int) -> bytes:
    return _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(length)))


def _many_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    buffer = BytesIO()
    Image.fromarray(photo(1500, 1000)).save(buffer, "JPEG", progressive=True, quality=30)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + b"\xff\xd9"


def _long_notes(count: int) -> bytes:
    """A JPEG with so many segments of Exif."""
    data = _saved("JPEG", 64, 64)
    body = b"Exif\0\0" + bytes(65_000)
    return data[:2] + (b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body) * count + data[2:]


def _saved(kind: str, width: int, height: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (width, height), (90, 120, 150)).save(buffer, kind)
    return buffer.getvalue()


def _tiff(side: int) -> bytes:
    buffer = BytesIO()
    Image.fromarray(np.zeros((side, side), np.uint16)).save(buffer, "TIFF", compression="tiff_deflate")
    return buffer.getvalue()
