"""Pictures with 16 bits in each colour, of which Pillow keeps only the upper 8."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

from camgraph_core.types import AnyArray

_CHANNELS = {"RGB": 3, "RGBA": 4}
_WHITE = np.uint32(65535)


def is_deep(image: Image.Image) -> bool:
    """Whether a picture that was opened and not decoded yet has 16 bits in each of three or four channels."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else None
    stored = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return image.mode in _CHANNELS and isinstance(stored, str) and ";16" in stored


def read_deep(data: bytes, image: Image.Image) -> AnyArray:
    """The pixels, not turned: uint16 [H, W, 3 or 4], RGB with alpha last.

    Args:
        data: The file.
        image: The same, opened by Pillow, which is the stricter of the two about damage.

    Raises:
        ValueError: OpenCV reads something else in it.
        Exception: What Pillow's decoder raises.

    """
    return np.ascontiguousarray(_read(data, image)[:, :, : _CHANNELS[image.mode]])


def read_deep_on_white(data: bytes, image: Image.Image) -> AnyArray:
    """As `read_deep`, with what is transparent laid on white: uint16 [H, W, 3]."""
    pixels = _read(data, image)
    if pixels.shape[2] == 3:
        return pixels
    alpha = pixels[:, :, 3:].astype(np.uint32)
    # The sum is at most 65535 * 65535, so it fits with the half that rounds.
    mixed = pixels[:, :, :3] * alpha + _WHITE * (_WHITE - alpha)
    return ((mixed + _WHITE // 2) // _WHITE).astype(np.uint16)


def _read(data: bytes, image: Image.Image) -> AnyArray:
    """The pixels, with alpha also where the file only names one colour as transparent."""
    image.load()
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    channels = 4 if "transparency" in image.info else _CHANNELS[image.mode]
    if pixels is None or pixels.shape != (image.height, image.width, channels) or pixels.dtype != np.uint16:
        raise ValueError("its 16-bit values cannot be read")
    return pixels[:, :, [2, 1, 0, 3][:channels]]
