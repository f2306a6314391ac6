"""How the camera was turned: the orientation that a picture states, and pixels made upright without copying them."""

from __future__ import annotations

from PIL import ExifTags, Image

from camgraph_core.frame import Size
from camgraph_core.types import AnyArray
from camgraph_runtime.preprocess.containers.limits import LARGEST_EXIF, check_metadata
from camgraph_runtime.preprocess.containers.tiff import check_directory

_EXIF_HEADER = b"Exif\0\0"
_SIDEWAYS = (5, 6, 7, 8)
_BACKWARDS_DOWN = (3, 4, 7, 8)
_BACKWARDS_ACROSS = (2, 3, 6, 7)


def orientation_of(image: Image.Image) -> int:
    """The orientation that EXIF or XMP states, 1 to 8; 1 where neither does.

    Args:
        image: A picture that was opened, and need not be decoded.

    Raises:
        InvalidInputError: The EXIF is too large.
        Exception: What Pillow raises on damaged EXIF.

    """
    exif = image.info.get("exif")
    if exif is None and (text := image.info.get("Raw profile type exif")) is not None:
        exif = bytes.fromhex("".join(text.split("\n")[3:]))
    if exif is not None:
        check_metadata("EXIF", len(exif), LARGEST_EXIF)
        check_directory(exif.removeprefix(_EXIF_HEADER).removeprefix(_EXIF_HEADER))
    stated = image.getexif().get(ExifTags.Base.Orientation, 1)
    return stated if isinstance(stated, int) and 1 <= stated <= 8 else 1


def upright_size(size: Size, orientation: int) -> Size:
    """Height and width of a picture after it was made upright."""
    height, width = size
    return (width, height) if orientation in _SIDEWAYS else (height, width)


def upright(pixels: AnyArray, orientation: int) -> AnyArray:
    """A view of pixels [H, W] or [H, W, C] that undoes a turn of the camera, which EXIF numbers from 1 to 8."""
    if orientation in _SIDEWAYS:
        pixels = pixels.swapaxes(0, 1)
    down, across = mirrored_axes(orientation)
    return pixels[:: -1 if down else 1, :: -1 if across else 1]


def mirrored_axes(orientation: int) -> tuple[bool, bool]:
    """Whether the rows and the columns of the upright picture run against those that are stored."""
    return orientation in _BACKWARDS_DOWN, orientation in _BACKWARDS_ACROSS
