"""TIFF and EXIF: directories, whose entries are read into memory each by itself."""

from __future__ import annotations

import mmap
from collections.abc import Collection
from typing import TypeAlias

import numpy as np

from camgraph_core.errors import InvalidInputError
from camgraph_runtime.preprocess.containers.limits import LARGEST_PROFILE, check_metadata

MOST_VALUES = 65_535
"""Values of one entry, such as the places of strips: one for each row of the largest side."""

_ELEMENT = np.zeros(65_536, np.int64)  # bytes of a value, by its type
_ELEMENT[:14] = 0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4
_ELEMENT[16:19] = 8
_PLAIN_BYTES = (1, 2, 7)  # kept as they are; the values of other types become numbers of Python
_PROFILE = 34_675
_SLACK = 1 << 16
_KINDS = {1: "u1", 2: "u1", 3: "u2", 4: "u4", 7: "u1", 11: "f4", 12: "f8"}  # types whose values are read here

Block: TypeAlias = bytes | mmap.mmap
"""A file in memory, or mapped into it."""


def check_tiff(data: Block, _: int) -> None:
    """Checks the first directory of a TIFF file.

    Raises:
        InvalidInputError: Its entries state too many values, or more than the file has; or too large a profile.

    """
    check_directory(data)


def check_directory(block: Block) -> None:
    """Checks the first directory of a TIFF file or of a block of EXIF, which has the same form.

    Raises:
        InvalidInputError: Its entries state too many values, or more than the block has; or too large a profile.

    """
    entries = _entries(block)
    if entries is None:
        return
    element = _ELEMENT[entries["type"]]
    count = np.minimum(entries["count"].astype(np.float64), 1e15)
    sizes = element * count
    inline = entries["value"].dtype.itemsize
    # Honest entries do not overlap, or hardly: all of them together fit into the block.
    stated = np.minimum(sizes, len(block))[sizes > inline].sum()
    if stated > len(block) + _SLACK:
        raise InvalidInputError(
            f"The entries of the picture's TIFF or EXIF directory state {stated:.0f} bytes, "
            f"but there are {len(block)}. Save the picture again."
        )
    numbers = count[(element > 0) & ~np.isin(entries["type"], _PLAIN_BYTES)]
    if numbers.size and numbers.max() > MOST_VALUES:
        raise InvalidInputError(
            f"An entry of the picture's TIFF or EXIF directory has {numbers.max():.0f} values, "
            f"but the limit is {MOST_VALUES}. Save the picture in larger strips or tiles."
        )
    profile = sizes[entries["tag"] == _PROFILE]
    if profile.size:
        check_metadata("ICC profile", int(profile.max()), LARGEST_PROFILE)


def tag_values(block: Block, tags: Collection[int]) -> dict[int, np.ndarray]:
    """The values of some tags of the first directory, of texts and bytes as uint8; those that are damaged are left out.

    Raises:
        InvalidInputError: As `check_directory`, which bounds what is read.

    """
    check_directory(block)
    entries = _entries(block)
    found: dict[int, np.ndarray] = {}
    for entry in entries[np.isin(entries["tag"], list(tags))] if entries is not None else ():
        kind = _KINDS.get(int(entry["type"]))
        if kind is None:
            continue
        # It has fields, so a field has a type.
        dtype = np.dtype(kind).newbyteorder(entries.dtype["tag"].byteorder)  # type: ignore[union-attr]
        size, inline = int(entry["count"]) * dtype.itemsize, entry["value"].tobytes()
        start = int(entry["value"])
        data = inline[:size] if size <= len(inline) else block[start : start + size]
        if len(data) == size:
            found[int(entry["tag"])] = np.frombuffer(data, dtype)
    return found


def _entries(block: Block) -> np.ndarray | None:
    """Tag, type, count and value of each entry; None where there is no directory."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return None
    is_big = int.from_bytes(block[2:4], "little" if order == "<" else "big") == 43
    word = f"{order}u{8 if is_big else 4}"
    length = np.dtype(f"{order}u{8 if is_big else 2}")
    start = _number(block, 8 if is_big else 4, np.dtype(word))
    if start is None or (number := _number(block, start, length)) is None:
        return None
    entry = np.dtype([("tag", f"{order}u2"), ("type", f"{order}u2"), ("count", word), ("value", word)])
    first = start + length.itemsize
    fitting = min(number, (len(block) - first) // entry.itemsize)
    return np.frombuffer(block, entry, fitting, first) if fitting > 0 else None


def _number(block: Block, start: int, dtype: np.dtype) -> int | None:
    return int(np.frombuffer(block, dtype, 1, start)[0]) if 0 <= start <= len(block) - dtype.itemsize else None
