"""DICOM: elements, and how the pixels are compressed."""

from __future__ import annotations

from typing import Literal

from camgraph_core.errors import InvalidInputError
from camgraph_runtime.preprocess.containers.limits import most_parts, too_many_parts

_START = 132  # after a preamble of 128 bytes and the signature
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
"""Kinds of values whose length has four bytes, after two that are reserved."""

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ENDS = (0xFFFE, 0xE000), ((0xFFFE, 0xE00D), (0xFFFE, 0xE0DD))
_TRANSFER_SYNTAX, _PIXEL_DATA = (0x0002, 0x0010), (0x7FE0, 0x0010)
_READ = frozenset(
    {(0x0028, 0x3000), (0x0028, 0x3010), (0x0028, 0x9132), (0x0028, 0x9145), (0x5200, 0x9229), (0x5200, 0x9230)}
)
"""The sequences that are looked into: tables of values, and groups of frames with their rescaling and window."""

_PIXEL_GROUP, _LONGEST = 0x0028, 1 << 18
"""The longest value of an element that describes pixels: twice the largest table. Lists of numbers become objects."""

_IMPLICIT, _BIG_ENDIAN, _DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"


def is_dicom(data: bytes) -> bool:
    """Whether bytes are those of a DICOM file."""
    return data[_START - 4 : _START] == b"DICM"


def check_dicom(data: bytes) -> None:
    """Checks the elements of a DICOM file, without a look at what they hold.

    Raises:
        InvalidInputError: It has too many for its size, one that is too long, or is compressed as a whole.

    """
    walk = _Walk(data)
    walk.through_meta()
    if walk.syntax == _DEFLATED:
        raise InvalidInputError("The DICOM file is compressed as a whole (deflated). Send it without that compression.")
    walk.through_data()


class _Walk:
    """A walk through the elements that a reader works through; what is damaged ends it."""

    def __init__(self, data: bytes) -> None:
        self._data, self._left = data, most_parts(len(data))
        self._position = _START
        self.syntax = ""

    def through_meta(self) -> None:
        """Through the first group, which says how all others are written."""
        while self._data[self._position : self._position + 2] == b"\x02\x00":
            tag, start, length = self._element(implicit=False, order="little")
            if tag == _TRANSFER_SYNTAX:
                self.syntax = self._data[start : start + length].rstrip(b"\0 ").decode("ascii", "replace")
            self._position = start + length

    def through_data(self) -> None:
        """Through all others. A reader opens sequences without a length, and leaves others closed."""
        implicit, in_pixels = self.syntax == _IMPLICIT, False
        order: Literal["little", "big"] = "big" if self.syntax == _BIG_ENDIAN else "little"
        while self._position + 8 <= len(self._data):
            tag, start, length = self._element(implicit=implicit, order=order)
            in_pixels = in_pixels or (tag == _PIXEL_DATA and length == _UNDEFINED)
            if tag[0] == _PIXEL_GROUP and tag not in _READ and _LONGEST < length < _UNDEFINED:
                raise InvalidInputError("The DICOM file describes its pixels at too great length. Save it again.")
            is_opened = length == _UNDEFINED or tag in _ENDS or tag in _READ or (tag == _ITEM and not in_pixels)
            self._position = start if is_opened else start + length

    def _element(self, *, implicit: bool, order: Literal["little", "big"]) -> tuple[tuple[int, int], int, int]:
        """Tag, start of the value, and its length."""
        self._left -= 1
        if self._left < 0:
            raise too_many_parts("DICOM", most_parts(len(self._data)))
        data, at = self._data, self._position
        tag = int.from_bytes(data[at : at + 2], order), int.from_bytes(data[at + 2 : at + 4], order)
        if implicit or tag[0] == 0xFFFE:
            return tag, at + 8, int.from_bytes(data[at + 4 : at + 8], order)
        if data[at + 4 : at + 6] in _LONG:
            return tag, at + 12, int.from_bytes(data[at + 8 : at + 12], order)
        return tag, at + 8, int.from_bytes(data[at + 6 : at + 8], order)
