"""TIFF and EXIF: directories, whose entries are read into memory each by itself."""

from __future__ import annotations

import mmap
from collections.abc import Collection, Iterator
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
_NEEDED = (*range(256, 260), 262, 273, *range(277, 280), 284, 317, *range(320, 326), 338, 339)  # to read any pixel
_FRACTIONS = (5, 10, 11, 12)  # types of numbers that need not be whole
_SLACK = 1 << 16
_KIND, _SMALLER_OR_MASK = 254, 0b101
_PLACES, _LENGTHS = (273, 324), (279, 325)  # of strips and of tiles
_MOST_VERSIONS = 32  # of a picture that follow it, at half the size each
_KINDS = {1: "u1", 2: "u1", 3: "u2", 4: "u4", 7: "u1", 11: "f4", 12: "f8", 16: "u8"}  # types whose values are read here

Block: TypeAlias = bytes | mmap.mmap
"""A file in memory, or mapped into it."""


def check_tiff(data: Block, _: int) -> None:
    """Checks the first directory of a TIFF file.

    Raises:
        InvalidInputError: There is none, or it is cut off; or its entries state too many values, more than the file
            has, or too large a profile; or sizes and places that are not whole numbers.

    """
    entries = _entries(data)
    if entries is None:
        raise InvalidInputError("The TIFF is damaged: it does not say what it has. Send the whole file.")
    check_directory(data)
    sizes = _ELEMENT[entries["type"]] * entries["count"].astype(np.float64)
    is_needed = np.isin(entries["tag"], _NEEDED)
    if np.isin(entries["type"][is_needed], _FRACTIONS).any():
        raise InvalidInputError("The TIFF is damaged: it has fractions where whole numbers belong. Save it again.")
    is_apart = is_needed & (sizes > entries["value"].dtype.itemsize)
    if _next(data, _start(data)) is None or (entries["value"] + sizes)[is_apart].max(initial=0) > len(data):
        raise InvalidInputError("The TIFF is incomplete: what it says of its pixels is missing. Send the whole file.")


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
    kinds = (_values(block, entries, (_KIND,)).get(_KIND, np.zeros(1)) for entries in _following(block))
    return any(not int(kind[0]) & _SMALLER_OR_MASK for kind in kinds)


def is_cut_off(block: Block) -> bool:
    """Whether a picture after the first one lies beyond the end of the file, as in one that was cut off."""
    start = _next(block, _start(block))
    for _ in range(_MOST_VERSIONS):
        if start == 0:
            return False
        entries = None if start is None else _entries(block, start)
        if entries is None or _end_of_pixels(block, entries) > len(block):
            return True
        start = _next(block, start)
    return False


def _end_of_pixels(block: Block, entries: np.ndarray) -> float:
    """Where the last strip or tile of a picture ends, as far as its directory says it."""
    found, end = _values(block, entries, (*_PLACES, *_LENGTHS)), 0.0
    for place, length in zip(_PLACES, _LENGTHS, strict=True):
        starts, sizes = found.get(place), found.get(length)
        if starts is not None and sizes is not None and starts.size == sizes.size:
            end = max(end, ((starts + sizes.astype(np.float64)) * (sizes > 0)).max(initial=0))
    return end


def _following(block: Block) -> Iterator[np.ndarray]:
    """The directories after the first one, as far as the file has them."""
    start = _start(block)
    for _ in range(_MOST_VERSIONS):
        start = _next(block, start)
        entries = _entries(block, start) if start else None
        if entries is None:
            return
        yield entries


def _next(block: Block, start: int | None) -> int | None:
    """Where the directory after one that begins at a place is; 0 where there is none, None where it is not said."""
    length, word = _words(block)
    number = None if start is None else _number(block, start, length)
    if start is None or number is None:
        return None
    return _number(block, start + length.itemsize + number * _entry(word).itemsize, word)


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
        if 0 < len(data) == size and np.isfinite(values := np.frombuffer(data, dtype)).all():
            found[int(entry["tag"])] = values
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
    entry = _entry(word)
    first = start + length.itemsize
    fitting = min(number, (len(block) - first) // entry.itemsize)
    return np.frombuffer(block, entry, fitting, first) if fitting > 0 else None


def _entry(word: np.dtype) -> np.dtype:
    """An entry of a directory."""
    order = word.str[0]
    return np.dtype([("tag", f"{order}u2"), ("type", f"{order}u2"), ("count", word), ("value", word)])


def _number(block: Block, start: int, dtype: np.dtype) -> int | None:
    return int(np.frombuffer(block, dtype, 1, start)[0]) if 0 <= start <= len(block) - dtype.itemsize else None
