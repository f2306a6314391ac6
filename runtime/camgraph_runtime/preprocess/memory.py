"""What reading an image takes, told from its header."""

from __future__ import annotations

from PIL import Image

from camgraph_runtime.preprocess.arrays import is_numpy_file, numpy_size
from camgraph_runtime.preprocess.deep import is_deep
from camgraph_runtime.preprocess.dicom import Dicom
from camgraph_runtime.preprocess.opening import Encoded, open_image
from camgraph_runtime.preprocess.pillow_tiff import changes_values
from camgraph_runtime.preprocess.raster import Raster

# Bytes of memory per pixel at the peak of `Explainer.prepare`, each a little above what
# `benchmarks/reading_memory.py` measures: 7 with 8 bits (9 of a progressive JPEG), 14 with 16 bits of grey, 46 with 16
# bits of each colour.
_EIGHT_BITS, _WIDER, _DEEP = 10, 20, 50
_FILLED = 45  # with 8 bits where some values stand for no data: 30 of colours, 40 with transparency

# Of arrays and of TIFF files of many bands bytes per byte of the values, and per value. Of four bands of 8 bits 8.6 per
# value are measured where data is missing, of 16 bits 9.6, of float32 11.6, of float64 17.
_PER_BYTE, _PER_VALUE = 2.5, 7
_DICOM = 16  # bytes per byte of values, beside the file itself: 13 are measured, as levels are float32


# Where the network sees an image as large as it is, per value of its tensor: 6 are measured of 8 bits, 7 of float32.
_IN_FULL, _COLOURS = 8, 3


def reading_bytes(
    data: bytes, *, max_pixels: int, frame: int | None = None, nodata: float | None = None, in_full: bool = False
) -> int:
    """Bytes of memory that an encoded image takes at most while it is read and made ready for the network.

    Args:
        data: A picture or a NumPy file.
        max_pixels: Largest number of pixels, as for reading it.
        frame: Number of the frame of a DICOM file.
        nodata: The value that stands for no data.
        in_full: Whether the network sees it as large as it is; else its input is small beside it.

    Raises:
        InvalidInputError: Not an image, or one with too many pixels.

    """
    beside = _IN_FULL if in_full else 0
    if is_numpy_file(data):
        count, size = numpy_size(data, "The image", max_pixels=max_pixels)
        return _of_values(count, size) + beside * count
    opened = open_image(data, max_pixels=max_pixels, frame=frame)
    if isinstance(opened, Dicom):
        return len(data) + (_DICOM + _COLOURS * beside) * opened.values_bytes
    if isinstance(opened, Raster):
        count = opened.nbytes // opened.dtype.itemsize
        return _of_values(count, opened.nbytes) + beside * count
    assert isinstance(opened, Encoded), "NumPy files were sorted out."
    image = opened.image
    pixels = image.width * image.height
    if changes_values(image):  # which is read by tifffile where values go in as they are stored
        return _of_values(4 * pixels, 8 * pixels) + 4 * beside * pixels
    is_filled = nodata is not None or opened.nodata is not None
    return pixels * (max(_bytes_per_pixel(image), _FILLED if is_filled else 0) + _COLOURS * beside)


def _of_values(count: int, size: int) -> int:
    return round(_PER_BYTE * size) + _PER_VALUE * count


def _bytes_per_pixel(image: Image.Image) -> int:
    if is_deep(image):
        return _DEEP
    return _WIDER if image.mode.startswith("I") or image.mode == "F" else _EIGHT_BITS
