"""From a source to an opened image: its kind and size are known and allowed, and no pixel is decoded yet."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from camgraph_core.errors import InvalidInputError, NotInImageError
from camgraph_core.frame import Size
from camgraph_core.types import AnyArray
from camgraph_runtime.preprocess.arrays import check_array, is_numpy_file, read_numpy
from camgraph_runtime.preprocess.camera import orientation_of, upright_size
from camgraph_runtime.preprocess.containers import check_container
from camgraph_runtime.preprocess.containers.dicom import is_dicom
from camgraph_runtime.preprocess.containers.following import NOTHING, Following, following
from camgraph_runtime.preprocess.containers.kinds import kind_of
from camgraph_runtime.preprocess.containers.limits import LARGEST_SIDE, too_many_pixels
from camgraph_runtime.preprocess.dicom import Dicom, open_dicom
from camgraph_runtime.preprocess.pillow_tiff import (
    changes_values,
    is_beyond_pillow,
    lacks_channels,
    nodata_text,
    stored_size,
    tones_of,
)
from camgraph_runtime.preprocess.raster import TIFF, Raster, nodata_from, open_raster
from camgraph_runtime.preprocess.tones import Tones

ImageSource: TypeAlias = bytes | str | Path | AnyArray | Image.Image

# Only decoders of photos: Pillow's others read documents and rare formats, and one starts Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
_INSTEAD = f"Send one of {', '.join(FORMATS)}, or a NumPy file with an array [H, W, C]."

# Pillow refuses what is larger whatever the caller says, and already when it opens a file.
_PILLOW_LIMIT = 2 * (Image.MAX_IMAGE_PIXELS or sys.maxsize)

_SIDEWAYS = 6  # any orientation in which width and height change places


@dataclass(frozen=True)
class Encoded:
    """A picture that Pillow has opened.

    Attributes:
        image: The picture, not decoded yet if it comes from a file.
        data: The bytes that it comes from, if it does.
        following: What follows this first picture in the file.

    """

    image: Image.Image
    data: bytes | None = None
    following: Following = NOTHING

    @property
    def possible_sizes(self) -> tuple[Size, ...]:
        """Height and width, upright; two of them where only what follows the pixels says how the camera was turned."""
        if self.image.format == "TIFF":
            return (upright_size(stored_size(self.image), self.orientation),)
        stored = self.image.height, self.image.width
        if self.image.format == "PNG" and "exif" not in self.image.info:
            return stored, upright_size(stored, _SIDEWAYS)
        return (upright_size(stored, self.orientation),)

    @property
    def nodata(self) -> float | None:
        """The value that stands for no data, as a TIFF says it."""
        return nodata_from(nodata_text(self.image))

    @property
    def tones(self) -> Tones:
        """What its values mean, where it is a TIFF."""
        return tones_of(self.image)

    @property
    def orientation(self) -> int:
        """How the camera was turned, 1 to 8; a PNG may have to be decoded for it.

        Raises:
            InvalidInputError: The EXIF is damaged or too large.

        """
        try:
            return orientation_of(self.image)
        except InvalidInputError:
            raise
        except Exception as error:  # a decoder may raise anything on hostile bytes
            raise InvalidInputError(
                f"The image is damaged or incomplete ({reason(error)}). Send the whole file."
            ) from error


@dataclass(frozen=True)
class Stored:
    """An array of values, [H, W] or [H, W, C]."""

    array: AnyArray
    nodata: float | None = None


Opened: TypeAlias = Encoded | Stored | Raster | Dicom


def open_image(source: ImageSource, *, max_pixels: int, frame: int | None = None) -> Opened:
    """Opens an image and checks its size; of an animation the first frame.

    Args:
        source: Encoded bytes (of a picture, or of a NumPy file), the path of a file, an array [H, W] or [H, W, C], or
            a Pillow image.
        max_pixels: Largest number of pixels.
        frame: Number of the frame of a DICOM file, from 1; may be left out if there is one.

    Raises:
        InvalidInputError: Not an image, a damaged one, one with too many pixels, or one that costs more than they do.
        UnsupportedError: It is a DICOM file, and pydicom is not installed.
        NotInImageError: The frame is not named or does not exist.

    """
    opened = _opened(source, max_pixels, frame)
    if frame is not None and not isinstance(opened, Dicom):
        raise NotInImageError("A frame is one of a DICOM file; this image is none. Leave the frame out.")
    return opened


def _opened(source: ImageSource, max_pixels: int, frame: int | None) -> Opened:
    if isinstance(source, Image.Image):
        _check_size(source.size, max_pixels)
        return Encoded(source)
    if isinstance(source, np.ndarray):
        check_array(source.shape, source.dtype, max_pixels=max_pixels)
        return Stored(source)
    data, name = _bytes(source)
    if is_numpy_file(data):
        return Stored(read_numpy(data, name, max_pixels=max_pixels))
    if is_dicom(data):
        return open_dicom(data, name, max_pixels=max_pixels, frame=frame)
    return _open(data, name, max_pixels)


def as_stored(opened: Opened, *, max_pixels: int) -> Opened:
    """An opened image whose values are those of its file: a TIFF that Pillow would change is read by tifffile.

    Raises:
        InvalidInputError: The file is damaged, or of a kind that is not read.
        UnsupportedError: It needs tifffile, which is not installed.

    """
    if not (isinstance(opened, Encoded) and opened.data is not None and changes_values(opened.image)):
        return opened
    return _open_raster(opened.data, max_pixels)


def reason(error: Exception) -> str:
    """What a decoder says, to stand inside a sentence."""
    return str(error).strip().rstrip(".") or type(error).__name__


def _bytes(source: bytes | str | Path) -> tuple[bytes, str]:
    """Bytes of an image, and its name in messages."""
    data = source if isinstance(source, bytes) else _read(Path(source))
    name = "The image" if isinstance(source, bytes) else str(source)
    if not data:
        raise InvalidInputError(f"{name} is empty: it has zero bytes.")
    return data, name


def _open(data: bytes, name: str, max_pixels: int) -> Encoded | Raster:
    check_container(data, max_pixels=max_pixels)
    if data.startswith(TIFF) and is_beyond_pillow(data):
        return _open_raster(data, max_pixels)
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = min(max_pixels, _PILLOW_LIMIT)
        raise InvalidInputError(f"{name} has too many pixels: the limit is {limit}. Send a smaller image.") from error
    except Exception as error:  # what a decoder raises on hostile bytes may be anything
        if data.startswith(TIFF):
            return _open_raster(data, max_pixels)
        kind = kind_of(data)
        if kind is not None:
            raise InvalidInputError(f"{name} is {kind}, which is not read. {_INSTEAD}") from error
        raise InvalidInputError(f"{name} is not an image that can be read. {_INSTEAD}") from error
    if lacks_channels(image):
        return _open_raster(data, max_pixels)
    _check_size(image.size, max_pixels)
    return Encoded(image, data, following(data))


def _open_raster(data: bytes, max_pixels: int) -> Raster:
    raster = open_raster(data)
    check_array((*raster.size, raster.bands), raster.dtype, max_pixels=max_pixels)
    _check_size(raster.size[::-1], max_pixels)
    return raster


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror or error}.") from error


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise too_many_pixels(width, height, max_pixels)
    if width < 1 or height < 1:
        raise InvalidInputError(f"The image has no pixels: it is {width} x {height}.")
    if max(size) > LARGEST_SIDE:
        raise InvalidInputError(
            f"The image has {width} x {height} pixels, but the limit of a side is {LARGEST_SIDE}. Crop it."
        )
