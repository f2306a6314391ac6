"""Values for an input beside the image: read from text or a file, and given the input's shape and element type."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_exporter.graph.dims import Dim, dims_of, text_of
from camgraph_runtime.preprocess.arrays import map_numbers

Values = Sequence[float] | np.ndarray[Any, Any]

_LARGEST = 256 * 2**20  # bytes of a file
_NUMBERS = "biuf"


def read_named_values(text: str) -> tuple[str, Values]:
    """Read values for one input, as the command line writes them: `NAME=VALUES`.

    Raises:
        ValueError: it is something else.
        UsageError: as `parse_values`.

    """
    name, equals, values = text.partition("=")
    if not (name and equals and values):
        raise ValueError("NAME=NUMBER[,NUMBER] or NAME=FILE.npy, such as scale_factor=1,1")
    return name, parse_values(values)


def parse_values(text: str) -> Values:
    """Read values as the command line writes them: `1,0,3`, rows as `1,2;3,4`, or the path of an .npy file.

    Raises:
        UsageError: the text is not a list of numbers, or the file cannot be used.

    """
    if text.endswith(".npy"):
        return read_array(Path(text))
    try:
        rows = [tuple(float(part) for part in row.split(",")) for row in text.split(";")]
    except ValueError as error:
        raise UsageError(
            f"--set is a list of numbers such as 1,0,3, rows such as 1,2;3,4, or an .npy file, not {text!r}."
        ) from error
    if not all(math.isfinite(number) for row in rows for number in row):
        raise UsageError(f"--set has a number that is not finite in {text!r}.")
    if len({len(row) for row in rows}) > 1:
        raise UsageError(f"--set has rows of different lengths in {text!r}. Give every row as many numbers.")
    return rows[0] if len(rows) == 1 else np.asarray(rows)


def read_array(path: Path) -> np.ndarray:
    """Read an array of numbers from an .npy file of at most 256 MiB; nothing in it is ever run.

    Raises:
        UsageError: there is no such file, or it is damaged, too large, or holds no numbers.

    """
    if not path.is_file():
        raise UsageError(f"There is no file {str(path)!r}. Give the path of an .npy file.")
    if path.stat().st_size > _LARGEST:
        raise UsageError(f"The file {str(path)!r} has more than {_LARGEST // 2**20} MiB, too much for a fixed input.")
    try:
        return map_numbers(path)
    except InvalidInputError as error:
        raise UsageError(
            f"The file {str(path)!r} holds no array of numbers, or it is damaged. Write it with numpy.save."
        ) from error


def fill(value: ir.Value, given: Values, batch: Dim | None) -> np.ndarray:
    """Return values in the shape and the element type of an input.

    Args:
        value: the input.
        given: one number for all elements, numbers in the order of the elements, or an array of the input's shape, with
            or without the batch in front.
        batch: first size of the image, by which an input of the same first size is told to have one row per image.

    Raises:
        UsageError: the values do not fill the input, or its element type cannot hold them.

    """
    array = np.asarray(given)
    if array.dtype.kind not in _NUMBERS:
        raise UsageError(f"The values for input {value.name!r} are not numbers.")
    dims = dims_of(value) if value.shape is not None else tuple(array.shape)
    # Where the images of the batch are counted in front, one row stands for each of them.
    by_row: list[Dim] = [1, *dims[1:]] if dims[:1] == (batch,) else list(dims)
    wanted = list(dims) if isinstance(batch, int) and array.size > 1 and _shape(array, dims) else by_row
    shape = _shape(array, wanted)
    if shape is None:
        what = f"{array.size} numbers" if array.ndim < 2 else f"an array of shape {list(array.shape)}"
        full = math.prod(dim for dim in wanted if isinstance(dim, int))
        advice = f"Give one number, or {full}." if array.ndim < 2 else "Give one row, which stands for every image."
        advice = advice if array.ndim < 2 or wanted != list(dims) else "Give an array of that shape."
        does = "do" if array.ndim < 2 else "does"
        raise UsageError(f"Input {value.name!r} has the shape {text_of(dims)}, which {what} {does} not fill. {advice}")
    return _cast(value, np.full(shape, array.reshape(-1)[0]) if array.size == 1 else array.reshape(shape))


def _shape(array: np.ndarray, wanted: Sequence[Dim]) -> list[int] | None:
    """Return the shape that the values get, or None where they do not fill the input."""
    if array.ndim > 1:
        fitting = (shape for shape in ([*array.shape], [1, *array.shape]) if _fits(shape, wanted))
        return next(fitting, None)
    known = math.prod(dim for dim in wanted if isinstance(dim, int))
    open_axes = [axis for axis, dim in enumerate(wanted) if isinstance(dim, str)]
    shape = [dim if isinstance(dim, int) else 1 for dim in wanted]
    if array.size == 1:
        return shape
    if open_axes:
        # What is left over belongs to the last open axis: the length of one prompt, or how many rows there are.
        shape[open_axes[-1]] = array.size // known if known else 0
    return shape if math.prod(shape) == array.size else None


def _fits(shape: Sequence[int], wanted: Sequence[Dim]) -> bool:
    return len(shape) == len(wanted) and all(
        isinstance(want, str) or have == want for have, want in zip(shape, wanted, strict=True)
    )


def _cast(value: ir.Value, array: np.ndarray) -> np.ndarray:
    dtype = (value.dtype or ir.DataType.FLOAT).numpy()
    with np.errstate(all="ignore"):
        cast = array.astype(dtype)
    if dtype.kind in "biu" and not np.array_equal(cast.astype(np.float64), array.astype(np.float64)):
        raise UsageError(
            f"Input {value.name!r} holds {dtype.name}, which cannot be all of the values that were given for it. "
            "Give whole numbers within its range."
        )
    return np.array(cast, order="C")
