"""How much of each kind a file may have; many times what cameras and programs write."""

from __future__ import annotations

from camgraph_core.errors import InvalidInputError

LARGEST_SIDE = 65_535
"""The longest side in pixels that JPEG can state. Decoders keep something for each row."""

LARGEST_EXIF = 1 << 20
"""Bytes of EXIF. A camera's, with its small picture, has 64 KiB."""

LARGEST_PROFILE = 1 << 22
"""Bytes of an ICC profile. Those of printers have 0.5 to 3 MiB."""

MOST_PARTS = 4096
"""Segments, blocks or chunks of a picture's file, apart from those that its length pays for."""

BYTES_PER_PART = 1024
"""A file may have one more part for each of so many bytes. Programs write pixels in parts of 4 KiB and more."""


def most_parts(size: int) -> int:
    """The number of parts that a file of a size in bytes may have."""
    return MOST_PARTS + size // BYTES_PER_PART


def too_many_parts(kind: str, limit: int) -> InvalidInputError:
    """The refusal of a file with more parts than `most_parts`."""
    return InvalidInputError(
        f"The {kind} file has more than {limit} parts, which is too many for its size. Save the picture again."
    )


def too_many_pixels(width: int, height: int, limit: int) -> InvalidInputError:
    """The refusal of an image with more pixels than are allowed."""
    return InvalidInputError(
        f"The image has {width} x {height} = {width * height} pixels, but the limit is {limit}. Send a smaller image."
    )


def check_metadata(kind: str, size: int, limit: int) -> None:
    """Checks the size of EXIF or of a profile in bytes.

    Raises:
        InvalidInputError: It is larger than the limit.

    """
    if size > limit:
        raise InvalidInputError(
            f"The picture has {size} bytes of {kind}, but the limit is {limit}. Save the picture without it."
        )
