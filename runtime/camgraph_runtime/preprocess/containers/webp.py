"""WebP: the size of the canvas, for which its decoder takes memory when it opens a file, and chunks."""

from __future__ import annotations

from camgraph_core.errors import InvalidInputError
from camgraph_runtime.preprocess.containers.limits import (
    LARGEST_EXIF,
    LARGEST_PROFILE,
    check_metadata,
    most_parts,
    too_many_parts,
    too_many_pixels,
)

_HEADER = 12
_EXTENDED, _FLAGS, _ANIMATED = b"VP8X", 20, 0b10
_METADATA = {b"EXIF": ("EXIF", LARGEST_EXIF), b"ICCP": ("ICC profile", LARGEST_PROFILE)}


def check_webp(data: bytes, max_pixels: int) -> None:
    """Checks the canvas and the chunks of a WebP file.

    Raises:
        InvalidInputError: It was cut off, has too many pixels or chunks, or too much EXIF or profile.

    """
    if data[8:_HEADER] != b"WEBP":
        return
    stated = 8 + int.from_bytes(data[4:8], "little")
    if len(data) < stated:
        raise InvalidInputError(f"The WebP file has {len(data)} of the {stated} bytes that it states. Send all of it.")
    position, limit = _HEADER, most_parts(len(data))
    for _ in range(limit):
        kind = data[position : position + 4]
        if len(kind) < 4:
            return
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        if kind in _METADATA:
            name, largest = _METADATA[kind]
            check_metadata(name, length, largest)
        width, height = _size(kind, data[position + 8 : position + 18])
        if width * height > max_pixels:
            raise too_many_pixels(width, height, max_pixels)
        position += 8 + length + length % 2
    raise too_many_parts("WebP", limit)


def is_animated(data: bytes) -> bool:
    """Whether a WebP file says that it is an animation."""
    is_extended = data[8 : _HEADER + 4] == b"WEBP" + _EXTENDED
    return is_extended and len(data) > _FLAGS and bool(data[_FLAGS] & _ANIMATED)


def _size(kind: bytes, start: bytes) -> tuple[int, int]:
    """Width and height that a chunk states; 0 where it states none."""
    if kind == _EXTENDED:
        return 1 + int.from_bytes(start[4:7], "little"), 1 + int.from_bytes(start[7:10], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(start[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + ((bits >> 14) & 0x3FFF)
    if kind == b"VP8 ":
        return int.from_bytes(start[6:8], "little") & 0x3FFF, int.from_bytes(start[8:10], "little") & 0x3FFF
    return 0, 0
