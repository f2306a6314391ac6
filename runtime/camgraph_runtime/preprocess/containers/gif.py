"""GIF: blocks before the first picture, which is the one that is decoded."""

from __future__ import annotations

from camgraph_runtime.preprocess.containers.limits import most_parts, too_many_parts

_HEADER = 13
_EXTENSION, _PICTURE, _END = 0x21, 0x2C, 0x3B


def check_gif(data: bytes, _: int) -> None:
    """Checks the blocks of a GIF file up to its first picture.

    Raises:
        InvalidInputError: It has too many for its size.

    """
    flags = data[10] if len(data) > 10 else 0
    position = _HEADER + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
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
