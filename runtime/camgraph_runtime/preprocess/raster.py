"""TIFF files of many bands, of floating-point numbers and of other kinds that Pillow does not read.

They are read by tifffile (the extra `geo`), a window at a time. A file is bounded before anything is decoded: by its
directory (`containers/tiff.py`), by the pixels that its header states, and by the segments that hold them, each of
which is decoded into as many bytes as it may have and no more.
"""

from __future__ import annotations

import io
import logging
import mmap
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import numpy as np

from camgraph_core.errors import InvalidInputError, UnsupportedError
from camgraph_core.frame import Size
from camgraph_core.types import AnyArray
from camgraph_runtime.preprocess.containers.following import NOTHING, Following, following
from camgraph_runtime.preprocess.tones import Tones

T = TypeVar("T")

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How a TIFF file begins; the latter two are BigTIFF."""

# What tifffile says of damaged tags goes where a program sends its log, and else nowhere: errors say what is wrong.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_NODATA = 42113  # of GDAL, as text
_LOW_IS_WHITE, _STRAIGHT_ALPHA = 0, 2
_INKS = 5
_PHOTOMETRICS = {0, 1, 2, _INKS}  # grey, grey, red-green-blue; others need more than their values to be understood
_COMPRESSIONS = {1, 5, 8, 32773, 32946, 34925, 50000}  # none, LZW, Deflate, PackBits, Deflate, LZMA, Zstandard
_MOST_BANDS = 1024
_MOST_PADDING = 4  # times the bytes of the image that its strips or tiles may hold
_LARGEST_SEGMENT = 1 << 27  # bytes
_MISSING = (
    "This TIFF is of a kind that needs tifffile, which is not installed. Install camgraph with the extra 'geo', or "
    "send a NumPy file."
)


@dataclass(frozen=True)
class Raster:
    """A TIFF file whose header was read and checked.

    Attributes:
        page: Its first picture, tifffile's TiffPage.
        file: tifffile's handle of the file.
        following: What follows this first picture in the file.

    """

    page: Any
    file: Any
    following: Following = NOTHING

    @property
    def size(self) -> Size:
        """Height and width of the stored pixels."""
        return self.page.imagelength, self.page.imagewidth

    @property
    def bands(self) -> int:
        """Number of channels."""
        return int(self.page.samplesperpixel)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type."""
        dtype: np.dtype[Any] = np.dtype(self.page.dtype)
        return dtype

    @property
    def tones(self) -> Tones:
        """What its values mean."""
        is_counted = self.dtype.kind == "u" and self.dtype.itemsize <= 2
        bits = int(self.page.bitspersample) if is_counted else None
        return Tones(bits, low_is_white=self.bands == 1 and int(self.page.photometric) == _LOW_IS_WHITE)

    @property
    def is_plain_colour(self) -> bool:
        """Whether its bands are grey or red, green and blue, with an alpha channel at most, as they are."""
        is_known = int(self.page.photometric) != _INKS and self.bands in (1, 3)
        return is_known or self.has_straight_alpha

    @property
    def has_straight_alpha(self) -> bool:
        """Whether the fourth of four bands is an alpha channel, by which the others are not multiplied."""
        return self.bands == 4 and [int(kind) for kind in self.page.extrasamples] == [_STRAIGHT_ALPHA]

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return self.size[0] * self.size[1] * self.bands * self.dtype.itemsize

    @property
    def orientation(self) -> int:
        """How the picture was turned, 1 to 8, as EXIF says it."""
        tag = self.page.tags.get(274)
        return int(tag.value) if tag is not None and tag.value in range(1, 9) else 1

    @cached_property
    def nodata(self) -> float | None:
        """The value that stands for no data, as GDAL writes it."""
        return nodata_from(getattr(self.page.tags.get(_NODATA), "value", None))

    def read(self, rows: slice | None = None, columns: slice | None = None) -> AnyArray:
        """A window of the stored pixels, [h, w, C]; by default all of them.

        Raises:
            InvalidInputError: The file is damaged.

        """
        rows, columns = rows or slice(0, self.size[0]), columns or slice(0, self.size[1])
        window = np.zeros((rows.stop - rows.start, columns.stop - columns.start, self.bands), self.dtype)
        for index in self._segments(rows, columns):
            self._copy(index, rows, columns, window)
        return window

    def _segments(self, rows: slice, columns: slice) -> list[int]:
        """Indices of the strips or tiles that hold pixels of a window."""
        down, across = _grid(self.page)
        length, width = _segment_size(self.page)
        planes = self.bands if self.page.planarconfig == 2 else 1
        first, last = rows.start // length, -(-rows.stop // length)
        left, right = columns.start // width, -(-columns.stop // width)
        return [
            (plane * down + row) * across + column
            for plane in range(planes)
            for row in range(first, min(last, down))
            for column in range(left, min(right, across))
        ]

    def _copy(self, index: int, rows: slice, columns: slice, window: AnyArray) -> None:
        """Decodes a strip or tile, and copies what lies in the window."""

        def decode() -> tuple[AnyArray | None, tuple[int, ...], tuple[int, ...]]:
            start, count = self.page.dataoffsets[index], self.page.databytecounts[index]
            if count == 0:
                return None, (0,) * 5, (0,) * 4  # a hole of a sparse file
            self.file.seek(start)
            found: tuple[AnyArray, tuple[int, ...], tuple[int, ...]] = self.page.decode(self.file.read(count), index)
            return found

        data, (sample, _, top, left, _), shape = _guarded(decode)
        if data is None:
            return
        here_rows, here_columns = slice(top, top + shape[1]), slice(left, left + shape[2])
        into = _overlap(rows, here_rows), _overlap(columns, here_columns)
        of = _overlap(here_rows, rows), _overlap(here_columns, columns)
        bands = slice(sample, sample + 1) if self.page.planarconfig == 2 else slice(None)
        window[(*into, bands)] = data[0, : shape[1], : shape[2]][of]


def open_raster(source: bytes | mmap.mmap) -> Raster:
    """Reads the header of a TIFF file, whose directory was checked; of one that is `mapped` no more than that.

    Raises:
        UnsupportedError: tifffile is not installed.
        InvalidInputError: The file is damaged, or of a kind that is not read.

    """
    try:
        from tifffile import TiffFile  # noqa: PLC0415 - an extra, needed by such files alone
    except ImportError as error:
        raise UnsupportedError(_MISSING) from error
    # What is mapped is read and sought as a file is.
    file = io.BytesIO(source) if isinstance(source, bytes) else cast("IO[bytes]", source)

    def read() -> Raster:
        opened = TiffFile(file)
        raster = Raster(opened.pages[0], opened.filehandle, following(source))
        _check(raster)
        return raster

    return _guarded(read)


def mapped(path: Path) -> bytes | mmap.mmap:
    """The bytes of a file, which are read where they are looked at.

    Raises:
        InvalidInputError: The file cannot be read.

    """
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{path} cannot be read: {error}.") from error


def nodata_from(text: object) -> float | None:
    """The value that stands for no data from GDAL's text; None without one that is a number."""
    with suppress(ValueError):  # it is not a number, and marks nothing
        return float(str(text).strip("\0 "))
    return None


def _check(raster: Raster) -> None:
    page = raster.page
    height, width = raster.size
    if page.dtype is None or raster.dtype.kind not in "uif" or getattr(page, "imagedepth", 1) != 1:
        raise InvalidInputError("The TIFF holds numbers of a kind that is not read: whole or floating-point ones are.")
    if int(page.compression) not in _COMPRESSIONS or int(page.photometric) not in _PHOTOMETRICS:
        raise InvalidInputError(
            f"The TIFF is compressed or coloured in a way that is not read ({page.compression.name}, "
            f"{page.photometric.name}). Save it without compression, or with LZW or Deflate."
        )
    if not 0 < raster.bands <= _MOST_BANDS or height < 1 or width < 1:
        raise InvalidInputError(
            f"The TIFF has {raster.bands} bands of {width} x {height} pixels, which is not an image."
        )
    length, across = _segment_size(page)
    down, right = _grid(page)
    per_pixel = raster.dtype.itemsize * (1 if page.planarconfig == 2 else raster.bands)
    planes = raster.bands if page.planarconfig == 2 else 1
    segment = length * across * per_pixel
    stated = segment * down * right * planes
    if segment > _LARGEST_SEGMENT or stated > _MOST_PADDING * raster.nbytes + (1 << 20):
        raise InvalidInputError(
            f"The TIFF's strips or tiles of {across} x {length} pixels are too large for its {width} x {height} "
            "pixels. Save it with tiles of 256 x 256."
        )
    if len(page.dataoffsets) != down * right * planes or len(page.databytecounts) != len(page.dataoffsets):
        raise InvalidInputError("The TIFF is damaged: it has not as many strips or tiles as its size needs.")
    if sum(page.databytecounts) > 2 * raster.nbytes + (1 << 20):
        raise InvalidInputError("The TIFF's strips or tiles state more bytes than its pixels have. Save it again.")


def _segment_size(page: Any) -> Size:
    """Height and width of a strip or tile; a strip is no higher than the image."""
    if page.is_tiled:
        return max(1, page.tilelength), max(1, page.tilewidth)
    return max(1, min(page.rowsperstrip, page.imagelength)), page.imagewidth


def _grid(page: Any) -> tuple[int, int]:
    """Strips or tiles down and across."""
    length, width = _segment_size(page)
    return -(-page.imagelength // length), -(-page.imagewidth // width)


def _overlap(span: slice, other: slice) -> slice:
    """The part of a span that another covers too, counted from the start of the span."""
    return slice(max(0, other.start - span.start), min(span.stop, other.stop) - span.start)


def _guarded(read: Callable[[], T]) -> T:
    """What a function of tifffile gives, which may raise anything on hostile bytes."""
    try:
        return read()
    except InvalidInputError:
        raise
    except Exception as error:  # see above
        [reason, *_] = str(error).strip().rstrip(".").splitlines() or [type(error).__name__]
        raise InvalidInputError(f"The TIFF is damaged, or of a kind that cannot be read ({reason[:120]}).") from error
