"""From an encoded or decoded image to upright RGB pixels."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
from PIL import Image, ImageOps

from camgraph_runtime.errors import InvalidInputError
from camgraph_runtime.types import AnyArray, ByteArray

ImageSource: TypeAlias = bytes | str | Path | AnyArray | Image.Image

# Only decoders of photos: Pillow's others read documents and rare formats, and one starts Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")

# Pillow refuses what is larger whatever the caller says, and already when it opens a file.
_PILLOW_LIMIT = 2 * (Image.MAX_IMAGE_PIXELS or sys.maxsize)

_ARRAY_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def decode(source: ImageSource, *, max_pixels: int) -> ByteArray:
    """Decodes an image to upright RGB.

    EXIF rotation is applied, grey and palette become RGB, transparency is laid on white, 16-bit grey keeps
    its upper 8 bits, CMYK is converted; of an animation the first frame is taken.

    Args:
        source: Encoded bytes, the path of a file, a uint8 array [H, W], [H, W, 1], [H, W, 3] (RGB) or [H, W,
            4] (RGBA), or a Pillow image.
        max_pixels: Largest number of pixels, checked on the header before anything is decoded.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        InvalidInputError: Not an image, a damaged one, or one with too many pixels.

    """
    if isinstance(source, np.ndarray):
        image = _from_array(source, max_pixels)
    elif isinstance(source, Image.Image):
        _check_size(source.size, max_pixels)
        image = source
    else:
        image = _open(source, max_pixels)
    try:
        return np.asarray(_to_rgb(ImageOps.exif_transpose(image)))
    except Exception as error:  # a decoder may raise anything on hostile bytes
        raise InvalidInputError(
            f"The image is damaged or incomplete ({_reason(error)}). Send the whole file."
        ) from error


def decode_mask(source: bytes | str | Path, *, max_pixels: int) -> ByteArray:
    """Decodes a picture of a mask: zeros and ones, uint8 [H, W].

    A pixel is inside unless it is black, transparent, or of the palette's first colour. EXIF rotation is applied.

    Args:
        source: Encoded bytes, or the path of a file.
        max_pixels: Largest number of pixels, checked on the header before anything is decoded.

    Raises:
        InvalidInputError: Not an image, a damaged one, or one with too many pixels.

    """
    image = _open(source, max_pixels)
    try:
        pixels = _mask_channels(ImageOps.exif_transpose(image))
    except Exception as error:  # as above
        raise InvalidInputError(
            f"The mask is damaged or incomplete ({_reason(error)}). Send the whole file."
        ) from error
    return np.asarray((pixels != 0).all(axis=2), np.uint8)


def _mask_channels(image: Image.Image) -> AnyArray:
    """What must not be zero inside, [H, W, 1 or 2]: a grey value or palette index, and the alpha value if any."""
    if image.mode == "P":
        return np.asarray(image)[:, :, None]
    if image.mode in ("RGBA", "LA", "La", "RGBa", "PA"):
        alpha = np.asarray(image.getchannel("A"))
        colour = np.asarray(image.convert("RGB")).max(axis=2)
        return np.stack([colour, alpha], axis=2)
    pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels.max(axis=2, keepdims=True)


def _open(source: bytes | str | Path, max_pixels: int) -> Image.Image:
    data = source if isinstance(source, bytes) else _read(Path(source))
    name = "The image" if isinstance(source, bytes) else str(source)
    if not data:
        raise InvalidInputError(f"{name} is empty: it has zero bytes.")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = min(max_pixels, _PILLOW_LIMIT)
        raise InvalidInputError(f"{name} has too many pixels: the limit is {limit}. Send a smaller image.") from error
    except Exception as error:  # as above
        raise InvalidInputError(
            f"{name} is not an image that can be read. Send one of {', '.join(FORMATS)}."
        ) from error
    _check_size(image.size, max_pixels)
    return image


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror or error}.") from error


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise InvalidInputError(
            f"The image has {width} x {height} = {width * height} pixels, but the limit is {max_pixels}. "
            "Send a smaller image."
        )
    if width < 1 or height < 1:
        raise InvalidInputError(f"The image has no pixels: it is {width} x {height}.")


def _from_array(array: AnyArray, max_pixels: int) -> Image.Image:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or channels not in _ARRAY_MODES:
        raise InvalidInputError(
            f"An image array is uint8 of shape [H, W], [H, W, 3] or [H, W, 4], but this is {array.dtype} "
            f"{list(array.shape)}. A ready input tensor goes in by `tensor=`."
        )
    _check_size((array.shape[1], array.shape[0]), max_pixels)
    pixels = array[:, :, 0] if array.ndim == 3 and channels == 1 else array
    return Image.fromarray(np.ascontiguousarray(pixels), _ARRAY_MODES[channels])


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        return _from_sixteen_bit(image)
    if image.mode == "F":
        raise ValueError("floating-point pixels have no fixed range")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_sixteen_bit(image: Image.Image) -> Image.Image:
    values = np.clip(np.asarray(image), 0, 65535)
    return Image.fromarray(cast("ByteArray", (values // 256).astype(np.uint8))).convert("RGB")


def _reason(error: Exception) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
