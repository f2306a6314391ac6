"""From an opened image to upright pixels, as they are stored or as grey and colour."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from camgraph_core.errors import InvalidInputError
from camgraph_core.shown import LARGEST
from camgraph_core.types import AnyArray
from camgraph_runtime.preprocess.camera import upright
from camgraph_runtime.preprocess.deep import is_deep, read_deep, read_deep_on_white
from camgraph_runtime.preprocess.dicom import Dicom
from camgraph_runtime.preprocess.jpeg import decode_jpeg, is_plain_jpeg
from camgraph_runtime.preprocess.opening import Encoded, Opened, Stored, reason
from camgraph_runtime.preprocess.raster import Raster

TRANSPARENT = ("RGBA", "LA", "PA", "La", "RGBa")
"""Modes of Pillow that have an alpha channel."""

_PIXELS_PER_BAND = 1 << 17


def read_stored(opened: Opened, fraction: int = 1) -> AnyArray:
    """The pixels of an image as the file has them, upright: [H, W, C] of its own element type.

    EXIF rotation is applied, and a palette looked up. The array may be a view that is not contiguous, and have values
    that are not finite, where data is missing.

    Args:
        opened: The image.
        fraction: A JPEG is decoded with sides divided by this, rounded up, where its decoder can: 1, 2, 4 or 8.

    Raises:
        InvalidInputError: The image is damaged.

    """
    if isinstance(opened, Encoded):
        return _with_channels(_decoded(opened, fraction, _bands, read_deep, keeps_grey=True))
    return _with_channels(array_of(opened))


def read_colour(opened: Opened, fraction: int = 1) -> AnyArray:
    """The pixels of an image as grey or colour, upright: [H, W, 1] of its own element type, or [H, W, C].

    As `read_stored`, but pictures of 8 bits become RGB, uint8 [H, W, 3]: grey and palette are converted, transparency
    is laid on white, CMYK is converted. Transparency of 16 bits is laid on white as well: uint16 [H, W, 3].

    Raises:
        InvalidInputError: The image is damaged, or has values that are not finite.

    """
    if not isinstance(opened, Encoded):
        array = array_of(opened)
        if isinstance(opened, Raster) and not opened.has_straight_alpha:
            return _checked(array)
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 4:
            return _checked(array)
        opened = Encoded(Image.fromarray(np.ascontiguousarray(array), "RGBA"))
    return _checked(_decoded(opened, fraction, _colours, read_deep_on_white, keeps_grey=False))


def by_rows(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> AnyArray:
    """The pixels of a decoded picture after a conversion of each pixel, some rows at a time.

    What the conversion needs on its way is then never as large as the picture.
    """
    image.load()
    step = max(1, _PIXELS_PER_BAND // image.width)
    pixels = np.empty(0)
    for top in range(0, image.height, step):
        rows = slice(top, min(top + step, image.height))
        band = np.asarray(convert(image.crop((0, rows.start, image.width, rows.stop))))
        if top == 0:
            pixels = np.empty((image.height, *band.shape[1:]), band.dtype)
        pixels[rows] = band
    return pixels


def _decoded(
    found: Encoded,
    fraction: int,
    convert: Callable[[Image.Image], Image.Image],
    convert_deep: Callable[[bytes, Image.Image], AnyArray],
    *,
    keeps_grey: bool,
) -> AnyArray:
    """The upright pixels, of a picture with 16 bits in each colour by `convert_deep`."""
    image = found.image
    size = -(-image.height // fraction), -(-image.width // fraction)
    pixels = None
    try:
        if found.data is not None and is_deep(image):
            pixels = convert_deep(found.data, image)
        elif found.data is not None and is_plain_jpeg(image):
            least = size if fraction > 1 else (0, 0)
            pixels = decode_jpeg(found.data, is_grey=keeps_grey and image.mode == "L", least=least)
        if pixels is None or pixels.shape[:2] != size:
            pixels = by_rows(image, convert)
    except Exception as error:  # a decoder may raise anything on hostile bytes
        raise InvalidInputError(
            f"The image is damaged or incomplete ({reason(error)}). Send the whole file."
        ) from error
    return upright(pixels, found.orientation)


def _bands(image: Image.Image) -> Image.Image:
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    return image.convert("L") if image.mode == "1" else image


def _colours(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return image
    if image.mode in TRANSPARENT or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def array_of(opened: Stored | Raster | Dicom) -> AnyArray:
    """The values of an array or raster, upright: [H, W] or [H, W, C], a raster of one band [H, W].

    Raises:
        InvalidInputError: The file is damaged.

    """
    if isinstance(opened, Stored | Dicom):
        return opened.array
    pixels = upright(opened.read(), opened.orientation)
    return pixels[:, :, 0] if opened.bands == 1 else pixels


def _with_channels(pixels: AnyArray) -> AnyArray:
    """The pixels with an axis of channels."""
    if pixels.dtype == np.float16:
        pixels = pixels.astype(np.float32)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _checked(pixels: AnyArray) -> AnyArray:
    """The pixels with an axis of channels, if their values are numbers."""
    pixels = _with_channels(pixels)
    if pixels.dtype.kind == "f":
        wrong = int(np.count_nonzero(~(np.abs(pixels) <= LARGEST)))  # NaN compares to nothing
        if wrong:
            raise InvalidInputError(f"The image has {wrong} values that are not finite numbers. Replace them.")
    return pixels
