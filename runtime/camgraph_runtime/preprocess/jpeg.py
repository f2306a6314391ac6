"""JPEG by libjpeg-turbo's own interface: the pixels that Pillow gives, in half of its time.

Pillow decodes with the same library, a few rows at a time, into four bytes for each pixel. Where this decoder finds
anything to say against a file, Pillow decodes it, or refuses it, instead.
"""

from __future__ import annotations

import simplejpeg
from PIL import Image

from camgraph_core.frame import Size
from camgraph_core.types import ByteArray

_MODES = ("L", "RGB")


def is_plain_jpeg(image: Image.Image) -> bool:
    """Whether a picture that Pillow has opened is a JPEG of grey or of colour, not of CMYK."""
    return image.format in {"JPEG", "MPO"} and image.mode in _MODES


def decode_jpeg(data: bytes, *, is_grey: bool, least: Size = (0, 0)) -> ByteArray | None:
    """The pixels as they are stored, not turned: uint8 [H, W, 3], RGB, or [H, W, 1]; None where Pillow has to decide.

    Args:
        data: The file.
        is_grey: Whether to leave one channel, for files of grey.
        least: The smallest height and width that will do. The decoder has fractions of a picture, such as halves,
            quarters and eighths, rounded up; by default the picture itself.

    """
    try:
        pixels: ByteArray = simplejpeg.decode_jpeg(
            data, "GRAY" if is_grey else "RGB", min_height=least[0], min_width=least[1], strict=True
        )
    except ValueError:
        return None
    return pixels
