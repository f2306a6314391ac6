"""A look at a message's bytes before it is parsed: what is long or comes often is refused while it costs nothing.

A request of a few megabytes can name millions of targets, and each becomes an object of a hundred bytes. So the fields
are counted first, by their tags alone. This ends at the first field too many: it takes no longer for a larger message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from camgraph_core.errors import InvalidInputError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}
_MOST_VARINT_BYTES = 10
_DEEPEST = 8  # messages inside one another: a request, a target, its contrast, a mask, and some room
_LIGHT = 256  # fields, which take about as many microseconds
_OTHERS = 100  # entries of a list that has no limit of its own
_NUMBER = 8  # bytes that a number may take when it is parsed, which may be one byte of a packed list


class MalformedError(Exception):
    """Bytes that are not a message."""


@dataclass(frozen=True)
class Screen:
    """Limits on what a message may hold.

    Attributes:
        message: Descriptor of the message.
        most: Largest number of entries of lists, by the field's name.
        longest_text: Longest text in bytes.
        most_fields: Largest number of fields altogether, those of inner messages included.
        most_packed: Most bytes of packed lists of numbers altogether.
    """

    message: Any  # protobuf has two classes of descriptors, and types for one
    most: Mapping[str, int]
    longest_text: int = 4096
    most_fields: int = 20_000
    most_packed: int = 4 * 1024 * 1024

    def check(self, data: bytes) -> int:
        """Refuses bytes with too many entries, a text that is too long, or no end of inner messages.

        Returns:
            Bytes that the message takes at most when it is parsed, its own bytes included.

        Raises:
            InvalidInputError: It is so.
            MalformedError: The bytes are not a message.
        """
        walk = _Walk(self, self.most_fields, self.most_packed)
        try:
            walk.message(self.message, data, 0, len(data), depth=1)
        except _TooManyNumbersError:
            raise InvalidInputError(
                f"Lists of numbers take more than {self.most_packed} bytes of the request; send numbers as raw bytes."
            ) from None
        except _TooManyError:
            raise InvalidInputError(f"The request has more than {self.most_fields} fields; ask for less.") from None
        return len(data) + _NUMBER * walk.packed

    def finds_light(self, data: bytes) -> bool:
        """Checks bytes as `check` does, but only those of a light message, which has few fields and numbers in lists.

        Returns:
            False if it is not light, and was not checked to its end.

        Raises:
            InvalidInputError: See `check`.
            MalformedError: See `check`.
        """
        try:
            _Walk(self, min(_LIGHT, self.most_fields), _LIGHT).message(self.message, data, 0, len(data), depth=1)
        except _TooManyError:
            return False
        return True


class _TooManyError(Exception):
    """A walk came to an end before that of the message."""


class _TooManyNumbersError(_TooManyError):
    """It was because of lists of numbers."""


class _Walk:
    """One walk over a message, up to a number of fields, and of bytes in packed lists of numbers.

    Attributes:
        packed: Bytes of packed lists of numbers that it has come by.
    """

    def __init__(self, screen: Screen, most: int, most_packed: int) -> None:
        self.packed = 0
        self._screen = screen
        self._left = most
        self._most_packed = most_packed

    def message(self, descriptor: Any, data: bytes, at: int, end: int, depth: int) -> None:
        """Walks over the fields of a message that lies at `at` to `end`."""
        if depth > _DEEPEST:
            raise InvalidInputError("The request has messages inside one another without end; make it flatter.")
        counts: dict[str, int] = {}
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise _TooManyError
            tag, at = _varint(data, at, end)
            field = descriptor.fields_by_number.get(tag >> 3)
            kind = tag & 7
            size = 1
            if kind == _VARINT:
                _, at = _varint(data, at, end)
            elif kind in _FIXED_SIZES:
                at += _FIXED_SIZES[kind]
            elif kind == _BYTES:
                size, at = _varint(data, at, end)
                if at + size > end:
                    raise MalformedError
                if field is not None:
                    self._inside(field, data, at, at + size, depth)
                at += size
            else:  # groups, which proto3 does not have
                raise MalformedError
            if at > end:
                raise MalformedError
            if field is not None and field.is_repeated:
                entries = _entries(field, kind, size)
                counts[field.name] = counts.get(field.name, 0) + entries
                self._check_count(field, counts[field.name])
                self.packed += entries if entries > 1 else 0
                if self.packed > self._most_packed:
                    raise _TooManyNumbersError

    def _inside(self, field: Any, data: bytes, at: int, end: int, depth: int) -> None:
        if field.type == field.TYPE_MESSAGE:
            self.message(field.message_type, data, at, end, depth + 1)
        elif field.type == field.TYPE_STRING and end - at > self._screen.longest_text:
            raise InvalidInputError(
                f"The field {field.name} has a text of {end - at} bytes; the limit is {self._screen.longest_text}."
            )

    def _check_count(self, field: Any, count: int) -> None:
        most = self._screen.most.get(field.name, _OTHERS)
        if count > most:
            raise InvalidInputError(f"The field {field.name} has more than {most} entries, which is the limit.")


def _entries(field: Any, kind: int, size: int) -> int:
    """Entries in one occurrence of a list; numbers may be packed, and each takes a byte at least."""
    is_packed = kind == _BYTES and field.type not in (field.TYPE_MESSAGE, field.TYPE_STRING, field.TYPE_BYTES)
    return size if is_packed else 1


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = 0
    for place in range(_MOST_VARINT_BYTES):
        if at >= end:
            raise MalformedError
        byte = data[at]
        at += 1
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            return value, at
    raise MalformedError
