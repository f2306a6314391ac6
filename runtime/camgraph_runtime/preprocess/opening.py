"""From an encoded or decoded image to upright pixels, as they are stored."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageOps

from camgraph_core.errors import InvalidInputError
from camgraph_core.types import AnyArray, ByteArray
from camgraph_runtime.preprocess.arrays import check_array, is_numpy_file, read_numpy
from camgraph_runtime.preprocess.deep import is_deep, read_deep, read_deep_on_white
from camgraph_runtime.preprocess.window import LARGEST

ImageSource: TypeAlias = bytes | str | Path | AnyArray | Image.Image

# Only decoders of photos: Pillow's others read documents and rare formats, and one starts Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")

# Pillow refuses what is larger whatever the caller says, and already when it opens a file.
_PILLOW_LIMIT = 2 * (Image.MAX_IMAGE_PIXELS or sys.maxsize)

_TIFF = (b"II*\0", b"MM\0*")
_TRANSPARENT = ("RGBA", "LA", "PA", "La", "RGBa")


def read_stored(source: ImageSource, *, max_pixels: int) -> AnyArray:
    """The pixels of an image as the file has them, upright: [H, W, C] of its own element type.

    EXIF rotation is applied, and a palette looked up; of an animation the first frame is taken.

    Args:
        source: Encoded bytes (of a picture, or of a NumPy file), the path of a file, an array [H, W] or [H, W, C], or
            a Pillow image.
        max_pixels: Largest number of pixels, checked on the header before anything is decoded.

    Raises:
        InvalidInputError: Not an image, a damaged one, or one with too many pixels or values that are not finite.

    """
    found = _load(source, max_pixels)
    if isinstance(found, _Encoded):
        found = _decoded(found, lambda image: np.asarray(_bands(image)), read_deep)
    return _checked(found)


def read_colour(source: ImageSource, *, max_pixels: int) -> AnyArray:
    """The pixels of an image as grey or colour, upright: [H, W, 1] of its own element type, or [H, W, C].

    As `read_stored`, but pictures of 8 bits become RGB, uint8 [H, W, 3]: grey and palette are converted, transparency
    is laid on white, CMYK is converted. Transparency of 16 bits is laid on white as well: uint16 [H, W, 3].
    """
    found = _load(source, max_pixels)
    if isinstance(found, np.ndarray) and found.dtype == np.uint8 and found.ndim == 3 and found.shape[2] == 4:
        found = _Encoded(Image.fromarray(np.ascontiguousarray(found), "RGBA"))
    if isinstance(found, _Encoded):
        found = _decoded(found, lambda image: np.asarray(_colours(image)), read_deep_on_white)
    return _checked(found)


def decode_mask(source: bytes | str | Path, *, max_pixels: int) -> ByteArray:
    """Decodes a picture of a mask: zeros and ones, uint8 [H, W].

    A pixel is inside unless it is black, transparent, or of the palette's first colour. EXIF rotation is applied.

    Args:
        source: Encoded bytes, or the path of a file.
        max_pixels: Largest number of pixels, checked on the header before anything is decoded.

    Raises:
        InvalidInputError: Not an image, a damaged one, or one with too many pixels.

    """
    data, name = _bytes(source)
    image = _open(data, name, max_pixels)
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
    if image.mode in _TRANSPARENT:
        alpha = np.asarray(image.getchannel("A"))
        colour = np.asarray(image.convert("RGB")).max(axis=2)
        return np.stack([colour, alpha], axis=2)
    pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels.max(axis=2, keepdims=True)


@dataclass(frozen=True)
class _Encoded:
    """A picture that Pillow has opened, and the bytes that it comes from, if it does."""

    image: Image.Image
    data: bytes | None = None


def _load(source: ImageSource, max_pixels: int) -> _Encoded | AnyArray:
    """The image, checked for its size."""
    if isinstance(source, Image.Image):
        _check_size(source.size, max_pixels)
        return _Encoded(source)
    if isinstance(source, np.ndarray):
        check_array(source.shape, source.dtype, max_pixels=max_pixels)
        return source
    data, name = _bytes(source)
    if is_numpy_file(data):
        return read_numpy(data, name, max_pixels=max_pixels)
    return _Encoded(_open(data, name, max_pixels), data)


def _bytes(source: bytes | str | Path) -> tuple[bytes, str]:
    """Bytes of an image, and its name in messages."""
    data = source if isinstance(source, bytes) else _read(Path(source))
    name = "The image" if isinstance(source, bytes) else str(source)
    if not data:
        raise InvalidInputError(f"{name} is empty: it has zero bytes.")
    return data, name


def _open(data: bytes, name: str, max_pixels: int) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = min(max_pixels, _PILLOW_LIMIT)
        raise InvalidInputError(f"{name} has too many pixels: the limit is {limit}. Send a smaller image.") from error
    except Exception as error:  # a decoder may raise anything on hostile bytes
        is_tiff = data.startswith(_TIFF)
        kind = "damaged, or a TIFF of a kind that cannot be read" if is_tiff else "not an image that can be read"
        raise InvalidInputError(
            f"{name} is {kind}. Send one of {', '.join(FORMATS)}, or a NumPy file with an array [H, W, C]."
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


def _decoded(
    found: _Encoded,
    convert: Callable[[Image.Image], AnyArray],
    convert_deep: Callable[[bytes, Image.Image], AnyArray],
) -> AnyArray:
    """The upright pixels, of a picture with 16 bits in each colour by `convert_deep`."""
    try:
        if found.data is not None and is_deep(found.image):
            return convert_deep(found.data, found.image)
        return convert(ImageOps.exif_transpose(found.image))
    except Exception as error:  # as above
        raise InvalidInputError(
            f"The image is damaged or incomplete ({_reason(error)}). Send the whole file."
        ) from error


def _bands(image: Image.Image) -> Image.Image:
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    return image.convert("L") if image.mode == "1" else image


def _colours(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return image
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _checked(pixels: AnyArray) -> AnyArray:
    """The pixels with an axis of channels, if their values are numbers."""
    if pixels.dtype == np.float16:
        pixels = pixels.astype(np.float32)
    if pixels.dtype.kind == "f":
        wrong = int(np.count_nonzero(~(np.abs(pixels) <= LARGEST)))  # NaN compares to nothing
        if wrong:
            raise InvalidInputError(f"The image has {wrong} values that are not finite numbers. Replace them.")
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _reason(error: Exception) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
