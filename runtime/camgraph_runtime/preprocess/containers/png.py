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
