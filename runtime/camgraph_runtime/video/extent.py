"""How many bytes of a video file are missing: one that was cut off ends early, and FFmpeg's readers do not say so.

Containers are made of parts that state their lengths. Only the lengths of the outermost parts are read.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_HEAD = 1024
_START_OF_PART = 32
_MOST_PARTS = 1 << 20
_SLACK = 8  # some writers of AVI count the header of 8 bytes in

_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
_OF_ASF = tuple(bytes.fromhex(f"{first}26b2758e66cf11a6d900aa0062ce6c") for first in ("30", "36"))  # header and data
_PACK, _END_OF_PACKS = b"\0\0\1\xba", b"\0\0\1\xb9"
_PACKETS = ((0, 188), (4, 192), (0, 204))  # of MPEG-TS: where the mark lies in a packet, and the length of one
_MARK = 0x47


def missing_bytes(path: Path) -> int:
    """How many bytes a video file lacks at its end, at least: as many as its last part has fewer than it states.

    Nothing can be said of a container that states no lengths, nor of a file that was cut between two of its parts.

    Args:
        path: The file.

    Returns:
        The number; 0 where none are known to be missing.

    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD)
        for mark, packet in _PACKETS:
            if all(head[place : place + 1] == bytes([_MARK]) for place in (mark, mark + packet, mark + 2 * packet)):
                return -size % packet
        length = _kind_of(head)
        position = 0
        with suppress(ValueError, IndexError):  # what follows states no length, or is not a part
            for _ in range(_MOST_PARTS if length else 0):
                if position >= size:
                    return position - size if position - size > _SLACK else 0
                file.seek(position)
                assert length is not None
                position += length(file.read(_START_OF_PART))
    return 0


def _kind_of(head: bytes) -> Callable[[bytes], int] | None:
    """What reads the length of a part, by how the file begins."""
    if head[4:8] in _FIRST_BOXES:
        return _of_box
    if head[:4] == _EBML.to_bytes(4):
        return _of_element
    if head[:4] == b"RIFF":
        return _of_riff
    if head[:4] == _PACK:
        return _of_pack
    return _of_asf if head.startswith(_OF_ASF) else None


def _of_box(start: bytes) -> int:
    """The length of a box of MP4 and MOV (ISO/IEC 14496-12, 4.2)."""
    size, kind = int.from_bytes(start[:4]), start[4:8]
    if size == 1:
        size = int.from_bytes(start[8:16])
    if size < 8 or not (kind.isascii() and kind.decode("ascii").isprintable()):
        raise ValueError
    return size


def _of_element(start: bytes) -> int:
    """The length of an element of Matroska and WebM (RFC 8794); of one that is open, that of its header."""
    kind_bytes = 9 - start[0].bit_length()
    size_bytes = 9 - start[kind_bytes].bit_length()
    header = kind_bytes + size_bytes
    if kind_bytes > 4 or size_bytes > 8 or len(start) < header:
        raise ValueError
    most = 1 << 7 * size_bytes
    size = int.from_bytes(start[kind_bytes:header]) - most
    if size < most - 1:
        return header + size
    if int.from_bytes(start[:kind_bytes]) not in (_SEGMENT, _CLUSTER):
        raise ValueError
    return header


def _of_riff(start: bytes) -> int:
    """The length of a part of AVI, of which a large file has several."""
    size = int.from_bytes(start[4:8], "little")
    if start[:4] != b"RIFF" or size in (0, 0xFFFFFFFF):
        raise ValueError
    return 8 + size + size % 2


def _of_asf(start: bytes) -> int:
    """The length of an object of WMV and ASF."""
    size = int.from_bytes(start[16:24], "little")
    if not start.startswith(_OF_ASF) or size < 24:
        raise ValueError
    return size


def _of_pack(start: bytes) -> int:
    """The length of a packet of an MPEG program stream, or of the header of a pack of them (ISO/IEC 13818-1, 2.5.3)."""
    if start[:3] != _PACK[:3]:
        raise ValueError
    if start[:4] == _PACK:
        return 14 + start[13] % 8 if start[4] >> 6 == 1 else 12
    return 4 if start[:4] == _END_OF_PACKS else 6 + int.from_bytes(start[4:6])
