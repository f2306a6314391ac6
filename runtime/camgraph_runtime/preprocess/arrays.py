"""Reads NumPy files: an image [H, W] or [H, W, C] of any element type of numbers.

The header is read first, and nothing is allocated that it does not pay for: a file may come from anybody.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np

from camgraph_core.errors import InvalidInputError
from camgraph_core.types import AnyArray
from camgraph_runtime.preprocess.containers.limits import too_many_pixels

T = TypeVar("T")

_NPY = b"\x93NUMPY"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # the second is an empty archive
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_USUAL_NAMES = ("image.npy", "arr_0.npy")
_BYTES_PER_PIXEL = 4  # as many as a picture with transparency takes
_MOST_NAMES = 5


def is_numpy_file(data: bytes) -> bool:
    """Whether bytes are those of a .npy or .npz file."""
    return data.startswith((_NPY, *_ZIP))


def read_numpy(data: bytes, name: str, *, max_pixels: int) -> AnyArray:
    """The image in a .npy or .npz file, as it is stored.

    Raises:
        InvalidInputError: The file is damaged or holds no image, or one with too many pixels.

    """
    return _from_file(data, name, lambda file: _read(file, name, partial(check_array, max_pixels=max_pixels)))


def read_tensor(path: Path, *, max_pixels: int) -> AnyArray:
    """The ready input tensor in a .npy or .npz file, of any shape.

    Raises:
        InvalidInputError: The file cannot be read or is damaged, or holds no numbers, or too many of them.

    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not is_numpy_file(data):
        raise InvalidInputError(f"{path} is not a NumPy file. A ready input tensor comes as .npy or .npz.")
    check = partial(_check_numbers, max_pixels=max_pixels)
    return _from_file(data, str(path), lambda file: _read(file, str(path), check))


def map_numpy(path: Path) -> AnyArray:
    """The image in a .npy file, mapped into memory: nothing of it is read yet, and it may be larger than memory.

    Raises:
        InvalidInputError: The file is damaged, or holds no image.

    """
    array = map_numbers(path)
    check_array(array.shape, array.dtype, max_pixels=max(1, array.size))
    return array


def map_numbers(path: Path) -> AnyArray:
    """The numbers in a .npy file, of any shape, mapped into memory: a header cannot ask for more than the file has.

    Raises:
        InvalidInputError: The file cannot be read or is damaged, or holds no array of numbers.

    """
    try:
        array: AnyArray = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # NumPy's reader of headers raises anything on hostile bytes
        raise InvalidInputError(f"{path} cannot be read as a NumPy file (.npy). Write it with numpy.save.") from error
    if array.dtype.kind not in "buif":
        raise InvalidInputError(f"{path} holds no numbers: its elements are {str(array.dtype)[:60]}.")
    return array


def numpy_size(data: bytes, name: str, *, max_pixels: int) -> tuple[int, int]:
    """Number of values of the image in a .npy or .npz file, and of their bytes, from its header.

    Raises:
        InvalidInputError: As `read_numpy`.

    """

    def count(file: IO[bytes]) -> tuple[int, int]:
        shape, _, dtype = _read_header(file, name)
        check_array(shape, dtype, max_pixels=max_pixels)
        return math.prod(shape), math.prod(shape) * dtype.itemsize

    return _from_file(data, name, count)


def _from_file(data: bytes, name: str, read: Callable[[IO[bytes]], T]) -> T:
    """What is read of the file in NumPy's format, which may lie in an archive."""
    try:
        if data.startswith(_NPY):
            return read(io.BytesIO(data))
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(_member(archive.namelist(), name)) as file:
            return read(file)
    except InvalidInputError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy's reader of headers raise anything on hostile bytes
        raise InvalidInputError(f"{name} is not a NumPy file that can be read, or it is damaged.") from error


def check_array(shape: Sequence[int], dtype: np.dtype[Any], *, max_pixels: int) -> None:
    """Checks that an array is an image of a size that is allowed.

    Raises:
        InvalidInputError: It has not the axes or elements of an image, no pixels, or too many.

    """
    if len(shape) not in (2, 3):
        raise InvalidInputError(
            f"An image array has the shape [H, W] or [H, W, C], but this is {str(dtype)[:60]} {list(shape)}. "
            "A ready input tensor goes in by `tensor=`, or on the command line with --tensor."
        )
    height, width = shape[:2]
    if min(shape) < 1:
        raise InvalidInputError(f"The image has no pixels: its shape is {list(shape)}.")
    if height * width > max_pixels:
        raise too_many_pixels(width, height, max_pixels)
    _check_numbers(shape, dtype, max_pixels=max_pixels)


def _check_numbers(shape: Sequence[int], dtype: np.dtype[Any], *, max_pixels: int) -> None:
    """Checks that an array has numbers, and not more bytes of them than an image may have."""
    if dtype.hasobject or dtype.kind not in "buif":
        raise InvalidInputError(f"An image has numbers, but the elements of this array are {str(dtype)[:60]}.")
    size = math.prod(shape) * dtype.itemsize
    if size > _BYTES_PER_PIXEL * max_pixels:
        raise InvalidInputError(
            f"The image has {size} bytes of values, but the limit is {_BYTES_PER_PIXEL * max_pixels}. "
            "Send a smaller image."
        )


def _member(names: Sequence[str], name: str) -> str:
    arrays = [member for member in names if member.endswith(".npy")]
    found = arrays if len(arrays) == 1 else [usual for usual in _USUAL_NAMES if usual in arrays]
    if not found:
        listed = ", ".join(member.removesuffix(".npy")[:40] for member in arrays[:_MOST_NAMES]) or "none"
        raise InvalidInputError(f"{name} must hold one array, or one called 'image', but its arrays are: {listed}.")
    return found[0]


def _read_header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns come first, and element type."""
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise InvalidInputError(f"{name} has version {version} of NumPy's format, which is not one for images.")
    shape, by_columns, dtype = _HEADERS[version](file)
    return shape, by_columns, dtype


def _read(file: IO[bytes], name: str, check: Callable[[Sequence[int], np.dtype[Any]], None]) -> AnyArray:
    shape, by_columns, dtype = _read_header(file, name)
    check(shape, dtype)
    size = math.prod(shape) * dtype.itemsize
    data = file.read(size)
    if len(data) != size:
        raise InvalidInputError(f"{name} is incomplete: it has {len(data)} of {size} bytes. Send the whole file.")
    array = np.frombuffer(data, dtype)
    return array.reshape(shape[::-1]).T if by_columns else array.reshape(shape)
