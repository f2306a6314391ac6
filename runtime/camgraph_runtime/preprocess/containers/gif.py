"""GIF: blocks before the first picture, which is the one that is decoded, and the number of pictures."""

from __future__ import annotations

from camgraph_runtime.preprocess.containers.limits import most_parts, too_many_parts

_HEADER = 13
_EXTENSION, _PICTURE, _END = 0x21, 0x2C, 0x3B
_DESCRIPTOR = 10  # bytes
_BLOCKS_PER_PART = 8  # pixels come in blocks of 255 bytes, a few of them shorter


def check_gif(data: bytes, _: int) -> None:
    """Checks the blocks of a GIF file up to its first picture.

    Raises:
        InvalidInputError: It has too many for its size.

    """
    position = _HEADER + _table(data, 10)
    # Comments of many small blocks are joined one by one, so the length pays for none of them.
    limit = most_parts(0)
    is_inside = False
    for _ in range(limit):
        if position >= len(data):
            return
        byte = data[position]
        if is_inside:
            position += 1 + byte
            is_inside = byte != 0
        elif byte == _EXTENSION:
            position += 2
            is_inside = True
        elif byte in {_PICTURE, _END}:
            return
        else:
            position += 1
    raise too_many_parts("GIF", limit)


def pictures_of_gif(data: bytes) -> tuple[int, bool]:
    """How many pictures a GIF file has, and whether it goes on to its end mark.

    A file of many tiny blocks is walked through in part, and is then taken for a whole one.
    """
    position, count, is_inside = _HEADER + _table(data, 10), 0, False
    for _ in range(most_parts(len(data)) * _BLOCKS_PER_PART):
        if position >= len(data):
            return count, False
        byte = data[position]
        if is_inside:
            position += 1 + byte
            is_inside = byte != 0
        elif byte == _EXTENSION:
            position += 2
            is_inside = True
        elif byte == _PICTURE:
            position += _DESCRIPTOR + _table(data, position + _DESCRIPTOR - 1) + 1
            count += 1
            is_inside = True
        else:
            break
    return count, True


def _table(data: bytes, flags: int) -> int:
    """Bytes of a table of colours, by the flags at a place."""
    byte = data[flags] if len(data) > flags else 0
    return 3 << ((byte & 7) + 1) if byte & 0x80 else 0
