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
_KIND, _SMALLER_OR_MASK = 254, 0b101
_MOST_VERSIONS = 32  # of a picture that follow it, at half the size each
_KINDS = {1: "u1", 2: "u1", 3: "u2", 4: "u4", 7: "u1", 11: "f4", 12: "f8"}  # types whose values are read here

Block: TypeAlias = bytes | mmap.mmap
"""A file in memory, or mapped into it."""


def check_tiff(data: Block, _: int) -> None:
    """Checks the first directory of a TIFF file.

    Raises:
        InvalidInputError: There is none; or its entries state too many values, more than the file has, or too large a
            profile.

    """
    if _entries(data) is None:
        raise InvalidInputError("The TIFF is damaged: it does not say what it has. Send the whole file.")
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
    return _values(block, _entries(block), tags)


def has_more_pictures(block: Block) -> bool:
    """Whether another picture follows the first one, which is neither a smaller version of it nor a mask."""
    start = _start(block)
    for _ in range(_MOST_VERSIONS):
        entries = None if start is None else _entries(block, start)
        if start is None or entries is None:
            return False
        length, word = _words(block)
        start = _number(block, start + length.itemsize + entries.nbytes, word)
        following = _entries(block, start) if start else None
        if following is None:
            return False
        if not int(_values(block, following, (_KIND,)).get(_KIND, np.zeros(1))[0]) & _SMALLER_OR_MASK:
            return True
    return False


def _values(block: Block, entries: np.ndarray | None, tags: Collection[int]) -> dict[int, np.ndarray]:
    if entries is None:
        return {}
    found: dict[int, np.ndarray] = {}
    word = _words(block)[1]
    for entry in entries[np.isin(entries["tag"], list(tags))]:
        kind = _KINDS.get(int(entry["type"]))
        if kind is None:
            continue
        dtype = np.dtype(f"{word.str[0]}{kind}")
        size, start = int(entry["count"]) * dtype.itemsize, int(entry["value"])
        # A number of NumPy has the machine's order of bytes, an array that of the file.
        inline = np.array(start, word).tobytes()
        data = inline[:size] if size <= len(inline) else block[start : start + size]
        if len(data) == size:
            found[int(entry["tag"])] = np.frombuffer(data, dtype)
    return found


def _words(block: Block) -> tuple[np.dtype, np.dtype]:
    """How the number of entries is written, and how places and counts are."""
    order = "<" if block[:2] == b"II" else ">"
    is_big = int.from_bytes(block[2:4], "little" if order == "<" else "big") == 43
    return np.dtype(f"{order}u{8 if is_big else 2}"), np.dtype(f"{order}u{8 if is_big else 4}")


def _start(block: Block) -> int | None:
    """Where the first directory is; None where the block is no TIFF."""
    if block[:2] not in (b"II", b"MM"):
        return None
    _, word = _words(block)
    return _number(block, word.itemsize, word)


def _entries(block: Block, start: int | None = None) -> np.ndarray | None:
    """Tag, type, count and value of each entry of the first or another directory; None where there is none."""
    start = _start(block) if start is None else start
    if start is None:
        return None
    length, word = _words(block)
    if (number := _number(block, start, length)) is None:
        return None
    order = word.str[0]
    entry = np.dtype([("tag", f"{order}u2"), ("type", f"{order}u2"), ("count", word), ("value", word)])
    first = start + length.itemsize
    fitting = min(number, (len(block) - first) // entry.itemsize)
    return np.frombuffer(block, entry, fitting, first) if fitting > 0 else None


def _number(block: Block, start: int, dtype: np.dtype) -> int | None:
    return int(np.frombuffer(block, dtype, 1, start)[0]) if 0 <= start <= len(block) - dtype.itemsize else None
