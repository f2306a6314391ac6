"""PNG: chunks, and metadata beside the pixels."""

from __future__ import annotations

from camgraph_runtime.preprocess.containers.limits import (
    LARGEST_EXIF,
    LARGEST_PROFILE,
    check_metadata,
    most_parts,
    too_many_parts,
)

_SIGNATURE = 8
_FRAME = 12  # bytes of length, kind and checksum
_METADATA = {b"eXIf": ("EXIF", LARGEST_EXIF), b"iCCP": ("ICC profile", LARGEST_PROFILE)}


def check_png(data: bytes, _: int) -> None:
    """Checks the chunks of a PNG file.

    Raises:
        InvalidInputError: It has too many for its size, or too much EXIF or profile.

    """
    position, limit = _SIGNATURE, most_parts(len(data))
    for _ in range(limit):
        kind = data[position + 4 : position + 8]
        if len(kind) < 4 or kind == b"IEND":
            return
        length = int.from_bytes(data[position : position + 4], "big")
        if kind in _METADATA:
            name, largest = _METADATA[kind]
            check_metadata(name, length, largest)
        position += _FRAME + length
    raise too_many_parts("PNG", limit)


def pictures_of_png(data: bytes) -> tuple[int, bool]:
    """How many pictures a PNG file states, more than one of an animation, and whether it goes on to its end mark."""
    position, count = _SIGNATURE, 1
    for _ in range(most_parts(len(data))):
        kind = data[position + 4 : position + 8]
        if kind == b"acTL":
            count = int.from_bytes(data[position + 8 : position + 12], "big")
        if kind == b"IEND" or len(kind) < 4:
            return count, kind == b"IEND"
        position += _FRAME + int.from_bytes(data[position : position + 4], "big")
    return count, True
