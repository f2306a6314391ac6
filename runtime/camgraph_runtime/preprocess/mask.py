"""Masks that come as pictures or NumPy files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from camgraph_core.errors import InvalidInputError
from camgraph_core.types import AnyArray, ByteArray
from camgraph_runtime.preprocess.camera import upright
from camgraph_runtime.preprocess.opening import Encoded, open_image, reason
from camgraph_runtime.preprocess.pixels import TRANSPARENT, array_of


def decode_mask(source: bytes | str | Path, *, max_pixels: int) -> ByteArray:
    """Decodes a picture or a NumPy file of a mask: zeros and ones, uint8 [H, W].

    A pixel is inside unless it is black, transparent, or of the palette's first colour; in a NumPy file, unless it is
    zero. EXIF rotation is applied.

    Args:
        source: Encoded bytes, or the path of a file.
        max_pixels: Largest number of pixels, checked on the header before anything is decoded.

    Raises:
        InvalidInputError: Not an image or array [H, W], a damaged one, or one with too many pixels.

    """
    found = open_image(source, max_pixels=max_pixels)
    if not isinstance(found, Encoded):
        array = array_of(found)
        if array.ndim != 2:
            raise InvalidInputError(f"A mask is an array [H, W], but this one is {list(array.shape)}.")
        return np.asarray(np.nan_to_num(array) != 0, np.uint8)
    try:
        pixels = _channels(found.image)
    except Exception as error:  # a decoder may raise anything on hostile bytes
        raise InvalidInputError(f"The mask is damaged or incomplete ({reason(error)}). Send the whole file.") from error
    return np.asarray(upright((pixels != 0).all(axis=2), found.orientation), np.uint8)


def _channels(image: Image.Image) -> AnyArray:
    """What must not be zero inside, [H, W, 1 or 2]: a grey value or palette index, and the alpha value if any."""
    image.load()
    if image.mode == "P":
        return np.asarray(image)[:, :, None]
    if image.mode in TRANSPARENT:
        alpha = np.asarray(image.getchannel("A"))
        colour = np.asarray(image.convert("RGB")).max(axis=2)
        return np.stack([colour, alpha], axis=2)
    pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels.max(axis=2, keepdims=True)
