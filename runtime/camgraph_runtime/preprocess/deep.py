"""Pictures with 16 bits in each colour, of which Pillow keeps only the upper 8.

Pillow is asked twice: a second time as if the bytes of each value stood the other way round, for the lower 8.
"""

from __future__ import annotations

import io
import re
import sys
from typing import Any, cast

import numpy as np
from PIL import Image

from camgraph_core.types import AnyArray

_CHANNELS = {"RGB": 3, "RGBA": 4}
_WHITE = np.uint32(65535)
_SIXTEEN_BITS = re.compile(r"(RGB|RGBA|RGBX|[RGBA]);16([LBN])")
_OTHER_ORDER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
_GREY_WITH_ALPHA = "LA;16B"  # of PNG; its four bytes for a pixel are read as four channels


def is_deep(image: Image.Image) -> bool:
    """Whether a picture that was opened and not decoded yet has 16 bits in each of three or four channels."""
    tiles = getattr(image, "tile", None) or []
    return image.mode in _CHANNELS and any(_lower_half(stored_form(tile)) is not None for tile in tiles[:1])


def read_deep(data: bytes, image: Image.Image) -> AnyArray:
    """The pixels, not turned: uint16 [H, W, 3 or 4], RGB with alpha last.

    Args:
        data: The file.
        image: The same, opened by Pillow and not decoded yet.

    Raises:
        Exception: What Pillow's decoder raises.

    """
    lower = Image.open(io.BytesIO(data), formats=[str(image.format)])
    lower.tile = [tile._replace(args=_with_lower_half(tile.args)) for tile in lower.tile]
    stored = stored_form(cast("Any", image).tile[0])
    low: AnyArray = np.asarray(lower)
    if stored == _GREY_WITH_ALPHA:
        grey, alpha = (low[:, :, start].astype(np.uint16) << 8 | low[:, :, start + 1] for start in (0, 2))
        return np.stack([grey, grey, grey, alpha], axis=2)
    pixels: AnyArray = np.asarray(image).astype(np.uint16)
    pixels <<= 8
    pixels |= low
    return pixels


def read_deep_on_white(data: bytes, image: Image.Image) -> AnyArray:
    """As `read_deep`, with what is transparent laid on white: uint16 [H, W, 3]."""
    pixels = read_deep(data, image)
    if image.mode == "RGB":
        clear = image.info.get("transparency")  # the one colour that the file names as transparent
        return pixels if clear is None else np.where((pixels == clear).all(axis=2, keepdims=True), 65535, pixels)
    alpha = pixels[:, :, 3:].astype(np.uint32)
    # The sum is at most 65535 * 65535, so it fits with the half that rounds.
    mixed = pixels[:, :, :3] * alpha + _WHITE * (_WHITE - alpha)
    return ((mixed + _WHITE // 2) // _WHITE).astype(np.uint16)


def stored_form(tile: Any) -> str:
    """How a tile's values are stored, in Pillow's words."""
    arguments = tile[3]
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _lower_half(stored: str) -> str | None:
    """Pillow's words for the lower 8 bits of values that are stored so; None if they do not have 16."""
    if stored == _GREY_WITH_ALPHA:
        return "RGBA"
    found = _SIXTEEN_BITS.fullmatch(stored)
    return f"{found[1]};16{_OTHER_ORDER[found[2]]}" if found else None


def _with_lower_half(arguments: object) -> tuple[object, ...] | str | None:
    if isinstance(arguments, tuple):
        return (_lower_half(str(arguments[0])), *arguments[1:])
    return _lower_half(str(arguments))
