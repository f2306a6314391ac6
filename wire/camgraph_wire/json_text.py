"""JSON from the wire, read within bounds, and arrays as JSON.

Python runs nothing else while it reads a JSON text. So what takes long for its size (numbers, lists, objects) is
counted first. Long arrays are written in pieces.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from camgraph_core.errors import InvalidInputError, TooLargeError
from camgraph_core.types import AnyArray

MOST_NUMBERS = 300_000
"""Numbers of one text, read or written: a tensor of three channels and 299 x 299 pixels has fewer."""

_MOST_PARTS = MOST_NUMBERS * 3 // 2  # commas and brackets: the pixels of a nested list have brackets, too
_MOST_KEYS = 50_000
_LOOK = 1024 * 1024  # bytes that are counted at a time
_PIECE = 8192  # numbers that are written at a time


def json_from(data: bytes | bytearray | memoryview, what: str = "The body of the request") -> Any:
    """The value of a JSON text in UTF-8.

    Args:
        data: The text.
        what: What it is, for messages.

    Raises:
        TooLargeError: It has more numbers, or more keys, than are read.
        InvalidInputError: It is not JSON, which has no word for NaN and infinity, or is nested too deeply.
    """
    _check_parts(data)
    try:
        return json.loads(str(data, "utf-8"), parse_constant=_refuse)
    except RecursionError as error:
        raise InvalidInputError("The JSON of the request is nested too deeply; make it flatter.") from error
    except ValueError as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidInputError(f"{what} is not JSON{where}: {reason[:100]}.") from error


def bytes_from(text: str, what: str) -> bytes:
    """What a text in base64 stands for.

    Raises:
        InvalidInputError: It is not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInputError(f"{what} is not base64.") from error


def utf8(text: str, what: str) -> bytes:
    """The bytes of a text: JSON can write halves of letters, which have none.

    Raises:
        InvalidInputError: It has such a half.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"{what} has a part of a letter without the other; send UTF-8.") from error


def number_texts(array: AnyArray, *, nested: bool = False) -> Iterator[bytes]:
    """The JSON of an array, in pieces; null stands for what is not finite.

    Args:
        array: Numbers or truth values.
        nested: Whether each axis is a list; else all is one list, row by row.

    Raises:
        TooLargeError: It has more numbers than are written.
    """
    if array.size > MOST_NUMBERS:
        raise TooLargeError(
            f"The answer has an array of {array.size} numbers, and JSON takes {MOST_NUMBERS} at most; ask for binary "
            "data, for a picture, or for a smaller max_side."
        )
    return _list(array if nested else array.ravel())


def _list(array: AnyArray) -> Iterator[bytes]:
    yield b"["
    if array.ndim == 1:
        for start in range(0, len(array), _PIECE):
            text = json.dumps(_finite(array[start : start + _PIECE]), allow_nan=False, separators=(",", ":"))
            yield (b"," if start else b"") + text[1:-1].encode()
    else:
        for number, inner in enumerate(array):
            if number:
                yield b","
            yield from _list(inner)
    yield b"]"


def _finite(array: AnyArray) -> list[Any]:
    values: list[Any] = array.tolist()
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return [value if fits else None for value, fits in zip(values, np.isfinite(array), strict=True)]
    return values


def _check_parts(data: bytes | bytearray | memoryview) -> None:
    """Counts what takes memory and time. Such characters within texts count, too: pictures in base64 have none."""
    parts = keys = 0
    for start in range(0, len(data), _LOOK):
        look = bytes(data[start : start + _LOOK])
        keys += look.count(b":")
        parts += look.count(b",") + look.count(b"[") + look.count(b"{")
        if parts > _MOST_PARTS or keys > _MOST_KEYS:
            raise TooLargeError(
                f"The JSON of the request has more than {_MOST_PARTS} values or {_MOST_KEYS} keys; send tensors as "
                "binary data."
            )


def _refuse(constant: str) -> Any:
    raise ValueError(f"it has the number {constant}, which JSON does not")
