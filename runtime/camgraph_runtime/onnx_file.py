"""The parts of an ONNX file, read without loading it: from its bytes, in little memory, without trust in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

from camgraph_core.errors import InvalidGraphError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}
_MOST_VARINT_BYTES = 10
_DEEPEST = 64  # graphs inside nodes inside graphs
_LONGEST_NAME = 4096  # bytes

METADATA_PROPS = 14
"""Field of `ModelProto` with an entry of the metadata."""

_KEY, _VALUE, _LOCATION = 1, 2, b"location"  # of an entry of external data or of the metadata

_Places: TypeAlias = Mapping[int, str]

# Which fields of which messages lead to tensors, by their numbers in onnx.proto.
_WAYS: Mapping[str, _Places] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
}


@dataclass(frozen=True)
class Field:
    """One field of a message, where it lies in the file.

    Attributes:
        number: Its number.
        start: Where its tag begins.
        value: Where its value begins.
        end: Where it ends.
        is_bytes: Whether the value is text, bytes or a message.
    """

    number: int
    start: int
    value: int
    end: int
    is_bytes: bool


def fields_of(file: BinaryIO, start: int, end: int) -> Iterator[Field]:
    """The fields of the message that lies at `start` to `end`. The file may be moved meanwhile.

    Raises:
        InvalidGraphError: The bytes are not a message.
    """
    while start < end:
        file.seek(start)
        tag = _varint(file)
        kind, size = tag & 7, 0
        if kind == _VARINT:
            _varint(file)
        elif kind == _BYTES:
            size = _varint(file)
        elif kind in _FIXED_SIZES:
            size = _FIXED_SIZES[kind]
        else:
            raise _damaged()
        value = file.tell()
        if value + size > end:
            raise _damaged()
        yield Field(tag >> 3, start, value, value + size, kind == _BYTES)
        start = value + size


def is_entry(file: BinaryIO, field: Field, key: str) -> bool:
    """Whether a field of a model is the entry of its metadata with this key."""
    wanted = key.encode()
    return field.number == METADATA_PROPS and any(
        inner.number == _KEY and inner.end - inner.value == len(wanted) and _read(file, inner) == wanted
        for inner in fields_of(file, field.value, field.end)
    )


def metadata_of(file: BinaryIO, size: int, key: str) -> str | None:
    """The metadata of a model with this key; None without it.

    Raises:
        InvalidGraphError: The bytes are not a model.
    """
    for field in fields_of(file, 0, size):
        if is_entry(file, field, key):
            values = [inner for inner in fields_of(file, field.value, field.end) if inner.number == _VALUE]
            return _read(file, values[-1]).decode(errors="replace") if values else None
    return None


def external_locations(file: BinaryIO, size: int) -> set[str]:
    """The names of the files that a model's tensors lie in, wherever a tensor may stand.

    Args:
        file: The model.
        size: Its bytes.

    Raises:
        InvalidGraphError: The bytes are not a model.
    """
    return set(_locations(file, "model", 0, size, 0))


def _locations(file: BinaryIO, message: str, start: int, end: int, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise _damaged()
    if message == "external":
        yield from _location(file, start, end)
        return
    ways = _WAYS[message]
    for field in fields_of(file, start, end):
        if field.is_bytes and field.number in ways:
            yield from _locations(file, ways[field.number], field.value, field.end, depth + 1)


def _location(file: BinaryIO, start: int, end: int) -> Iterator[str]:
    """The value of an entry whose key is "location"."""
    entry = {field.number: field for field in fields_of(file, start, end)}
    key, value = entry.get(_KEY), entry.get(_VALUE)
    if key is None or value is None or key.end - key.value != len(_LOCATION) or _read(file, key) != _LOCATION:
        return
    if value.end - value.value > _LONGEST_NAME:
        raise _damaged()
    try:
        yield _read(file, value).decode()
    except UnicodeDecodeError as error:
        raise _damaged() from error


def _read(file: BinaryIO, field: Field) -> bytes:
    file.seek(field.value)
    return file.read(field.end - field.value)


def _varint(file: BinaryIO) -> int:
    value = 0
    for place in range(_MOST_VARINT_BYTES):
        byte = file.read(1)
        if not byte:
            raise _damaged()
        value |= (byte[0] & 127) << (7 * place)
        if byte[0] < 128:
            return value
    raise _damaged()


def _damaged() -> InvalidGraphError:
    return InvalidGraphError("The file is not an ONNX model, or is damaged. Export the model again.")
