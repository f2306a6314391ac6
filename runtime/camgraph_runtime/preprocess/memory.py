"""What reading an image takes, told from its header."""

from __future__ import annotations

from PIL import Image

from camgraph_runtime.preprocess.arrays import is_numpy_file, numpy_bytes
from camgraph_runtime.preprocess.deep import is_deep
from camgraph_runtime.preprocess.dicom import Dicom
from camgraph_runtime.preprocess.opening import Encoded, open_image
from camgraph_runtime.preprocess.raster import Raster

# Bytes of memory per pixel at the peak of `Explainer.prepare`, each a little above what
# `benchmarks/reading_memory.py` measures: 7 with 8 bits (9 of a progressive JPEG), 14 with 16 bits of grey, 46 with 16
# bits of each colour.
_EIGHT_BITS, _WIDER, _DEEP = 10, 20, 50
_NUMPY = 4  # bytes per byte of values: 2.4 are measured
_DICOM = 16  # bytes per byte of values, beside the file itself: 13 are measured, as levels are float32


def reading_bytes(data: bytes, *, max_pixels: int, frame: int | None = None) -> int:
    """Bytes of memory that an encoded image takes at most while it is read and made ready for the network.

    Args:
        data: A picture or a NumPy file.
        max_pixels: Largest number of pixels, as for reading it.
        frame: Number of the frame of a DICOM file.

    Raises:
        InvalidInputError: Not an image, or one with too many pixels.

    """
    if is_numpy_file(data):
        return _NUMPY * numpy_bytes(data, "The image", max_pixels=max_pixels)
    opened = open_image(data, max_pixels=max_pixels, frame=frame)
    if isinstance(opened, Dicom):
        return len(data) + _DICOM * opened.values_bytes
    if isinstance(opened, Raster):
        return _NUMPY * opened.nbytes
    assert isinstance(opened, Encoded), "NumPy files were sorted out."
    image = opened.image
    return image.width * image.height * _bytes_per_pixel(image)


def _bytes_per_pixel(image: Image.Image) -> int:
    if is_deep(image):
        return _DEEP
    return _WIDER if image.mode.startswith("I") or image.mode == "F" else _EIGHT_BITS
