"""Pictures as PNG, which keeps every pixel."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from camgraph_core.types import ByteArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2
_DIFFERENCE_TO_ROW_ABOVE = 2
_BYTES_PER_CHUNK = 1 << 20


def encode_png(picture: ByteArray, level: int | None = None) -> bytes:
    """PNG of a picture.

    Args:
        picture: uint8 [H, W, 3] (RGB) or [H, W] (grey).
        level: Effort of the compression, 0 (none) to 9 (smallest); all keep every pixel. Without one, only repeated
            bytes are looked for, which is fastest.

    """
    height, width = picture.shape[:2]
    rows = np.asarray(picture, np.uint8).reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, _GREY if picture.ndim == 2 else _RGB, 0, 0, 0)
    strategy = zlib.Z_RLE if level is None else zlib.Z_DEFAULT_STRATEGY
    compressor = zlib.compressobj(1 if level is None else level, strategy=strategy)
    step = max(1, _BYTES_PER_CHUNK // (rows.shape[1] + 1))
    parts = [compressor.compress(_filtered(rows, top, min(top + step, height))) for top in range(0, height, step)]
    chunks = [_chunk(b"IDAT", part) for part in [*parts, compressor.flush()]]
    return b"".join([_SIGNATURE, _chunk(b"IHDR", header), *chunks, _chunk(b"IEND", b"")])


def _filtered(rows: ByteArray, top: int, bottom: int) -> memoryview:
    """Some rows as the difference to the row above, each with the number of its filter before it."""
    filtered = np.empty((bottom - top, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = _DIFFERENCE_TO_ROW_ABOVE
    filtered[0, 1:] = rows[top] - (rows[top - 1] if top else np.uint8(0))
    np.subtract(rows[top + 1 : bottom], rows[top : bottom - 1], out=filtered[1:, 1:])
    return filtered.data


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
