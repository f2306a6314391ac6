"""BMP: runs, which Pillow decodes by Python code."""

from __future__ import annotations

from camgraph_core.errors import InvalidInputError

LARGEST_RUNS = 1 << 22
"""Bytes of a file whose pixels are written in runs."""

_RUNS = {1: "8", 2: "4"}


def check_bmp(data: bytes, _: int) -> None:
    """Checks the size of a BMP file whose pixels are compressed.

    Raises:
        InvalidInputError: It is too large.

    """
    if int.from_bytes(data[30:34], "little") in _RUNS and len(data) > LARGEST_RUNS:
        raise InvalidInputError(
            f"The BMP file writes its pixels in runs and has {len(data)} bytes, but the limit of such files is "
            f"{LARGEST_RUNS}. Save the picture without compression, or as PNG."
        )
