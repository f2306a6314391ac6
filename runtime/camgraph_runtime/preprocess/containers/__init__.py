"""What a file says of itself, read before any decoder sees it, so that no file costs more than its pixels do.

A decoder believes its file. A small one may state hundreds of scans, millions of empty parts, or directories whose
entries all claim the same megabyte; each is worked through, and some by Python code. The walks here touch the lengths
of the parts only, stop at a number of parts that no honest file comes near, and copy nothing but directories. What is
damaged is left to the decoder, which says so.
"""

from __future__ import annotations

from collections.abc import Callable

from camgraph_runtime.preprocess.containers.bmp import check_bmp
from camgraph_runtime.preprocess.containers.gif import check_gif
from camgraph_runtime.preprocess.containers.jpeg import check_jpeg
from camgraph_runtime.preprocess.containers.png import check_png
from camgraph_runtime.preprocess.containers.tiff import check_tiff
from camgraph_runtime.preprocess.containers.webp import check_webp

_CHECKS: dict[bytes, Callable[[bytes, int], None]] = {
    b"\xff\xd8\xff": check_jpeg,
    b"\x89PNG\r\n\x1a\n": check_png,
    b"GIF8": check_gif,
    b"RIFF": check_webp,
    b"BM": check_bmp,
    b"II": check_tiff,
    b"MM": check_tiff,
}


def check_container(data: bytes, *, max_pixels: int) -> None:
    """Refuses a picture's file that would cost more to decode than its pixels do.

    Raises:
        InvalidInputError: The file has too many scans, parts, strips or entries, or metadata that is too large.

    """
    for signature, check in _CHECKS.items():
        if data.startswith(signature):
            check(data, max_pixels)
