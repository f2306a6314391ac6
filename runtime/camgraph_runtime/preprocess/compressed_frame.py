"""Compressed frames of DICOM files: whether they can be decoded, and hold no more pixels than the file states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from camgraph_core.errors import InvalidInputError
from camgraph_runtime.preprocess.containers.jpeg import check_jpeg

if TYPE_CHECKING:
    from pydicom import Dataset

_JPEG, _JPEG_2000 = b"\xff\xd8\xff", b"\xff\x4f\xff\x51"
_STARTS_OF_FRAME = {0xC0 + number for number in range(16)} - {0xC4, 0xC8, 0xCC} | {0xF7}  # the last is JPEG-LS
_RUN_LENGTH = "1.2.840.10008.1.2.5"


def check_frame(dataset: Dataset, number: int) -> None:
    """Checks a frame before it is decoded; one that is not compressed is as long as its pixels.

    Raises:
        InvalidInputError: There is no decoder for it, it is damaged, or it states more pixels than the file does.

    """
    from pydicom.encaps import get_frame  # noqa: PLC0415 - an extra
    from pydicom.pixels.decoders.base import get_decoder  # noqa: PLC0415 - an extra

    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        is_available = get_decoder(syntax).is_available
    except NotImplementedError:
        is_available = False
    if not is_available:
        raise InvalidInputError(
            f"The DICOM file is compressed ({syntax.name[:80]}), and no decoder for that is installed. Decompress it, "
            "or install pylibjpeg with its plugins (pip install pylibjpeg[all])."
        )
    if not syntax.is_encapsulated:
        return
    try:
        frames = int(dataset.get("NumberOfFrames") or 1)
        data = get_frame(dataset.PixelData, number, number_of_frames=frames)
    except Exception:  # pydicom raises anything on hostile bytes
        raise _damaged() from None
    if syntax == _RUN_LENGTH:
        _check_runs(data, dataset)
    elif _size(data, int(dataset.Rows) * int(dataset.Columns)) != (int(dataset.Rows), int(dataset.Columns)):
        raise _damaged()


def _check_runs(data: bytes, dataset: Dataset) -> None:
    """Checks that run lengths give no more than the pixels: a run of two bytes may state 128."""
    count = int.from_bytes(data[:4], "little")
    plane = int(dataset.Rows) * int(dataset.Columns)
    if not 1 <= count <= 15 or len(data) > 64 + 2 * count * (plane + 1):
        raise _damaged()
    starts = [int.from_bytes(data[4 * number : 4 * number + 4], "little") for number in range(1, count + 1)]
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        position, length = start, 0
        while position < min(end, len(data)) and length <= plane + 1:
            control = data[position]
            length += control + 1 if control < 128 else 257 - control if control > 128 else 0
            position += control + 2 if control < 128 else 2 if control > 128 else 1
        if length > plane + 1:  # a segment is padded to an even length
            raise _damaged()


def _size(data: bytes, plane: int) -> tuple[int, int] | None:
    """Rows and columns that a JPEG, JPEG-LS or JPEG 2000 stream states; None if it does not."""
    if data.startswith(_JPEG_2000):
        ends, starts = ([int.from_bytes(data[at + 4 * i : at + 4 * i + 4], "big") for i in (1, 0)] for at in (8, 16))
        return ends[0] - starts[0], ends[1] - starts[1]
    if not data.startswith(_JPEG):
        return None
    check_jpeg(data, plane)
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        kind = data[position + 1]
        if kind in _STARTS_OF_FRAME:
            return int.from_bytes(data[position + 5 : position + 7], "big"), int.from_bytes(
                data[position + 7 : position + 9], "big"
            )
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return None


def _damaged() -> InvalidInputError:
    return InvalidInputError("The DICOM file is damaged or incomplete. Send the whole file.")
