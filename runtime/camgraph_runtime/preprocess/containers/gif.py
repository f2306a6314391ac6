"""GIF: blocks before the first picture, which is the one that is decoded, and the number of pictures."""

from __future__ import annotations

from collections.abc import Iterator

from camgraph_runtime.preprocess.containers.limits import most_parts, too_many_parts

_HEADER = 13
_EXTENSION, _PICTURE, _END = 0x21, 0x2C, 0x3B
_BLOCK = -1  # of data, after an extension or a picture
_DESCRIPTOR = 10  # bytes
_BLOCKS_PER_PART = 8  # pixels come in blocks of 255 bytes, a few of them shorter


def check_gif(data: bytes, _: int) -> None:
    """Checks the blocks of a GIF file up to its first picture.

    Raises:
        InvalidInputError: It has too many for its size.

    """
    # Comments of many small blocks are joined one by one, so the length pays for none of them.
    limit = most_parts(0)
    for number, part in enumerate(_parts(data), 1):
        if part in {_PICTURE, _END}:
            return
        if number == limit:
            raise too_many_parts("GIF", limit)


def pictures_of_gif(data: bytes) -> tuple[int, bool]:
    """How many pictures a GIF file has, and whether it goes on to its end mark.

    A file of many tiny blocks is walked through in part, and is then taken for a whole one.
    """
    count, limit = 0, most_parts(len(data)) * _BLOCKS_PER_PART
    for number, part in enumerate(_parts(data), 1):
        count += part == _PICTURE
        if number == limit or part not in {_EXTENSION, _PICTURE, _BLOCK}:
            return count, True
    return count, False


def _parts(data: bytes) -> Iterator[int]:
    """The marks of a file one after the other, and `_BLOCK` for each block of data, as far as the file goes."""
    position, is_inside = _HEADER + _table(data, 10), False
    while position < len(data):
        byte = data[position]
        yield _BLOCK if is_inside else byte
        if is_inside:
            position += 1 + byte
            is_inside = byte != 0
        elif byte == _PICTURE:
            position += _DESCRIPTOR + _table(data, position + _DESCRIPTOR - 1) + 1
            is_inside = True
        elif byte == _EXTENSION:
            position += 2
            is_inside = True
        else:
            position += 1


def _table(data: bytes, flags: int) -> int:
    """Bytes of a table of colours, by the flags at a place."""
    byte = data[flags] if len(data) > flags else 0
    return 3 << ((byte & 7) + 1) if byte & 0x80 else 0
