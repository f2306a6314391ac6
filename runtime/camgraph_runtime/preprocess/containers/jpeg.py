"""JPEG: segments before the first scan, and scans, each of which goes over all pixels."""

from __future__ import annotations

import re

import numpy as np

from camgraph_core.errors import InvalidInputError
from camgraph_runtime.preprocess.containers.limits import (
    LARGEST_EXIF,
    LARGEST_PROFILE,
    MOST_PARTS,
    check_metadata,
    too_many_parts,
)
from camgraph_runtime.preprocess.containers.tiff import check_directory, tag_values

MOST_SCANS = 64
"""Scans of a picture. Encoders write 1 to 4 of them, and up to 20 in progressive files."""

SCANS_OF_LARGEST = 16
"""Scans that a picture of as many pixels as are allowed may have; smaller ones may have more."""

_MARKER = re.compile(rb"\xff[\x01-\xfe]")
_AFTER_ENTROPY = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # neither a stuffed byte nor a restart
_ALONE = {0x01, *range(0xD0, 0xDA), *range(0xF0, 0xFE)}  # markers without a segment
_START_OF_SCAN, _END = 0xDA, 0xD9
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_ENTRIES, _ENTRY, _VIEW = 0xB002, 16, 2  # of the index of several pictures: its tag, bytes of each, kind of a picture
_EXIF, _PROFILE, _PICTURES = b"Exif\0\0", b"ICC_PROFILE\0", b"MPF\0"


def check_jpeg(data: bytes, max_pixels: int) -> None:
    """Checks the segments and scans of a JPEG file.

    Raises:
        InvalidInputError: It has too many, or too much EXIF or profile.

    """
    exif, profile, position = [], 0, 2
    pixels = components = 0
    is_progressive = False
    for _ in range(MOST_PARTS):
        found = _next(data, position)
        if found is None:
            return
        marker, position = found
        if marker in _ALONE:
            continue
        length = max(2, int.from_bytes(data[position : position + 2], "big"))
        segment = data[position + 2 : position + length] if marker in _FRAMES | {0xE1, 0xE2, _START_OF_SCAN} else b""
        position += length
        if marker == 0xE1 and segment.startswith(_EXIF):
            exif.append(segment[len(_EXIF) :])
        elif marker == 0xE2 and segment.startswith(_PROFILE):
            profile += len(segment)
        elif marker == 0xE2 and segment.startswith(_PICTURES):
            check_directory(segment[len(_PICTURES) :])
        elif marker in _FRAMES and len(segment) >= 6:
            height, width = int.from_bytes(segment[1:3], "big"), int.from_bytes(segment[3:5], "big")
            pixels, components = max(pixels, height * width), segment[5]
            is_progressive = is_progressive or marker in _PROGRESSIVE
        elif marker == _START_OF_SCAN:
            check_metadata("EXIF", sum(map(len, exif)), LARGEST_EXIF)
            check_metadata("ICC profile", profile, LARGEST_PROFILE)
            check_directory(b"".join(exif))
            if is_progressive or (segment and segment[0] < components):
                _check_scans(data, position, pixels, max_pixels)
            return
    raise too_many_parts("JPEG", MOST_PARTS)


def shows_other_views(data: bytes) -> bool:
    """Whether pictures follow that show more than the first one: a panorama's, a stereo pair's, those of other angles.

    The index of a file of several pictures (MPO) says what each is. What phones add to a photo is none of these: it is
    previews, and maps of brightness or depth.

    Source:
        CIPA DC-007-2009, Multi-Picture Format, 5.2.3.3.
    """
    position = 2
    for _ in range(MOST_PARTS):
        found = _next(data, position)
        if found is None or found[0] == _START_OF_SCAN:
            return False
        marker, position = found
        if marker in _ALONE:
            continue
        length = max(2, int.from_bytes(data[position : position + 2], "big"))
        if marker == 0xE2 and data.startswith(_PICTURES, position + 2):
            return _has_views(data[position + 2 + len(_PICTURES) : position + length])
        position += length
    return False


def _has_views(index: bytes) -> bool:
    entries = tag_values(index, (_ENTRIES,)).get(_ENTRIES, np.zeros(0, np.uint8))
    kinds = entries[: entries.size // _ENTRY * _ENTRY].reshape(-1, _ENTRY)[:, 2 if index[:2] == b"II" else 1]
    return bool((kinds[1:] == _VIEW).any())


def _next(data: bytes, position: int) -> tuple[int, int] | None:
    """The next marker and what follows it; None where there is none."""
    found = _MARKER.search(data, position)
    if found is None:
        return None
    if found.start() - position > MOST_PARTS:  # Pillow skips such bytes one by one
        raise InvalidInputError(
            f"The JPEG file has {found.start() - position} bytes between two segments that belong to neither. "
            "Save the picture again."
        )
    return data[found.end() - 1], found.end()


def _check_scans(data: bytes, position: int, pixels: int, max_pixels: int) -> None:
    limit = MOST_SCANS if pixels == 0 else min(MOST_SCANS, max(1, SCANS_OF_LARGEST * max_pixels // pixels))
    scans, between = 1, 0
    while (found := _AFTER_ENTROPY.search(data, position)) is not None:
        marker = data[found.end() - 1]
        if marker == _END:
            return
        between += 1
        scans += marker == _START_OF_SCAN
        if scans > limit:
            raise InvalidInputError(
                f"The JPEG file has more than {limit} scans, each of which goes over all of its {pixels} pixels. "
                "Save the picture with fewer, such as not progressive."
            )
        if between > MOST_PARTS:
            raise too_many_parts("JPEG", MOST_PARTS)
        has_length = marker not in _ALONE
        position = found.end() + (int.from_bytes(data[found.end() : found.end() + 2], "big") if has_length else 0)
