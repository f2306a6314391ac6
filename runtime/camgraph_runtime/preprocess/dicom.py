"""DICOM files: one frame, its values in the unit of the modality, and how the file shows them.

Only elements that describe pixels are read: neither names nor dates of a patient come into an object, a message or a
log. What pydicom says is not passed on, as it may repeat what the file holds.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from camgraph_core.errors import InvalidInputError, NotInImageError, UnsupportedError
from camgraph_core.types import AnyArray
from camgraph_core.windows import Window
from camgraph_runtime.preprocess.arrays import check_array
from camgraph_runtime.preprocess.compressed_frame import check_frame
from camgraph_runtime.preprocess.containers.dicom import check_dicom
from camgraph_runtime.preprocess.grade import Grade
from camgraph_runtime.preprocess.window import can_be_used

if TYPE_CHECKING:
    from pydicom import Dataset

T = TypeVar("T")

_TAGS = (
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData",
    "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence",
    "WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "RedPaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData", "FloatPixelData", "DoubleFloatPixelData",
    "PixelPaddingValue", "PixelPaddingRangeLimit",
)  # fmt: skip  # what belongs together in a row
_GREY = ("MONOCHROME1", "MONOCHROME2")
_GROUP_OF = {
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "WindowCenter": "FrameVOILUTSequence",
    "WindowWidth": "FrameVOILUTSequence",
    "VOILUTFunction": "FrameVOILUTSequence",
}
_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")  # which pydicom makes red, green and blue
_PALETTE = "PALETTE COLOR"
_BITS = (1, 8, 16, 32)
_NEEDED = (
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation",
)  # fmt: skip  # what says how pixels are stored
_NO_SCALE = "The DICOM file rescales its values by numbers that cannot be used. Mend the file."
_INSTALL = "Install the extra dicom (pip install camgraph[dicom])"


@dataclass(frozen=True)
class Dicom:
    """A DICOM file whose header was read and checked; no pixel is decoded yet.

    Attributes:
        dataset: What describes the pixels.
        frame: Index of the frame, from 0.
        nodata: The value that stands for no data; there is none.

    """

    dataset: Dataset
    frame: int

    nodata: float | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the frame, [H, W] or [H, W, C]."""
        dataset = self.dataset
        size = int(dataset.Rows), int(dataset.Columns)
        return size if _channels(dataset) == 1 else (*size, 3)

    @property
    def values_bytes(self) -> int:
        """Bytes of the frame's values as the file has them."""
        return math.prod(self.shape) * max(1, int(self.dataset.BitsAllocated) // 8)

    @property
    def array(self) -> AnyArray:
        """The values of the frame in the unit of the modality, [H, W] or [H, W, C].

        Raises:
            InvalidInputError: The pixels are damaged, or need a decoder that is not there.

        """
        return self._read[0]

    @cached_property
    def grade(self) -> Grade | None:
        """How the file shows them; None for colour of 8 bits.

        Raises:
            InvalidInputError: As for `array`; or the file's window cannot be used.

        """
        return self._read[1]()

    def scale(self, window: Window | None) -> Window | Grade | None:
        """What makes them 0..255: a window that the user gave, if there is one, else what the file says."""
        if window is not None and len(self.shape) == 2:  # even if the file's own cannot be used
            return Grade(*window, inverted=self._is_inverted)
        return window if self.grade is None else self.grade.within(window)

    @property
    def _is_inverted(self) -> bool:
        return bool(self.dataset.PhotometricInterpretation == "MONOCHROME1")

    @cached_property
    def _read(self) -> tuple[AnyArray, Callable[[], Grade | None]]:
        from pydicom.pixels.processing import apply_color_lut  # noqa: PLC0415 - an extra

        dataset = self.dataset
        check_frame(dataset, self.frame)
        array = _guarded(lambda: _decoded(dataset, self.frame), _undecodable(dataset))
        if array.shape != self.shape and dataset.PhotometricInterpretation != _PALETTE:
            raise _damaged()
        if dataset.PhotometricInterpretation == _PALETTE:
            array = _guarded(lambda: apply_color_lut(array, dataset))
            return array, lambda: None if array.dtype == np.uint8 else Grade(0, 65535)
        if array.ndim == 3:
            return array, lambda: None if array.dtype == np.uint8 else Grade(0, 2 ** int(dataset.BitsStored) - 1)
        values, unit = self._in_unit(array)
        return values, lambda: self._grade(values, unit, array)

    def _in_unit(self, stored: AnyArray) -> tuple[AnyArray, Callable[[float], float]]:
        """Values in the unit of the modality, such as Hounsfield units, and what makes a stored value one."""
        from pydicom.pixels.processing import apply_modality_lut  # noqa: PLC0415 - an extra

        if "ModalityLUTSequence" in self.dataset:
            return _guarded(lambda: apply_modality_lut(stored, self.dataset)), float
        slope, intercept = (
            _number(self._value(name), default) for name, default in (("RescaleSlope", 1), ("RescaleIntercept", 0))
        )
        if not (math.isfinite(slope) and math.isfinite(intercept) and slope != 0):
            raise InvalidInputError(_NO_SCALE)
        if (slope, intercept) == (1, 0):
            return stored, float
        values: AnyArray = stored.astype(np.float32 if stored.dtype.itemsize <= 2 else np.float64)
        values *= slope
        values += intercept
        return values, lambda value: value * slope + intercept

    def _grade(self, values: AnyArray, unit: Callable[[float], float], stored: AnyArray) -> Grade:
        inverted = self._is_inverted
        if "VOILUTSequence" in self.dataset:
            return _table(self.dataset.VOILUTSequence[0], inverted=inverted)
        centre, width = (self._value(name) for name in ("WindowCenter", "WindowWidth"))
        if centre is not None and width is not None:
            return _window(_number(centre), _number(width), str(self._value("VOILUTFunction") or "LINEAR"), inverted)
        bits, is_signed = int(self.dataset.BitsStored), int(self.dataset.PixelRepresentation) == 1
        of_pixels = self._without_padding(values, stored)
        low, high = of_pixels.min().item(), of_pixels.max().item()
        if "ModalityLUTSequence" not in self.dataset and not (is_signed and bits >= 16) and bits <= 16:
            least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if is_signed else (0, 2**bits - 1)
            black, white = sorted((unit(least), unit(most)))
            if not can_be_used(black, white):
                raise InvalidInputError(_NO_SCALE)
            found = f"The DICOM file names no window: its values {low:g} to {high:g} were read on the scale of its "
            remark = f"{found}{bits} bits, {black:g} to {white:g}. {_ADVICE}." if bits > 8 else ""
            return Grade(black, white, inverted=inverted, remark=remark)
        remark = f"The DICOM file names no window: its values were spread from {low:g} to {high:g}. {_ADVICE}."
        return Grade(low, high if high > low else low + max(1, abs(low)), inverted=inverted, remark=remark)

    def _without_padding(self, values: AnyArray, stored: AnyArray) -> AnyArray:
        """The values without the padding beside the picture, by DICOM PS3.3 C.7.5.1.1.2; all where none is left.

        Some programs write the padding of signed values without its sign.
        """
        if "PixelPaddingValue" not in self.dataset:
            return values
        signs = 2 ** int(self.dataset.BitsAllocated) if int(self.dataset.PixelRepresentation) == 1 else math.inf
        first = _number(self.dataset.get("PixelPaddingValue"))
        last = _number(self.dataset.get("PixelPaddingRangeLimit"), first)
        least, most = sorted(value - signs if value >= signs / 2 else value for value in (first, last))
        kept: AnyArray = values[(stored < least) | (stored > most)]
        return kept if kept.size else values

    def _value(self, keyword: str) -> Any:
        """What is said of the frame, by the file or, in files of many frames, by a functional group."""
        return _guarded(lambda: self._said(keyword))

    def _said(self, keyword: str) -> Any:
        dataset = self.dataset
        if keyword in dataset:
            return dataset[keyword].value
        for group, number in (("PerFrameFunctionalGroupsSequence", self.frame), ("SharedFunctionalGroupsSequence", 0)):
            items = dataset.get(group) or []
            inner = items[number].get(_GROUP_OF[keyword]) if number < len(items) else None
            if inner and keyword in inner[0]:
                return inner[0][keyword].value
        return None


_ADVICE = "Say what is black and what is white with a window (--window LOW,HIGH, or a name such as lung)"


def open_dicom(data: bytes, name: str, *, max_pixels: int, frame: int | None = None) -> Dicom:
    """Reads what describes the pixels of a DICOM file, and checks it.

    Args:
        data: The file.
        name: Its name in messages.
        max_pixels: Largest number of pixels of a frame.
        frame: Number of the frame, from 1; may be left out if there is one.

    Raises:
        InvalidInputError: The file is damaged, has no picture, or costs more than its pixels do.
        UnsupportedError: pydicom is not installed.
        NotInImageError: The frame is not named or does not exist.

    """
    try:
        from pydicom import dcmread  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UnsupportedError(f"{name} is a DICOM file, which needs the package pydicom. {_INSTALL}.") from error
    check_dicom(data)
    dataset = _guarded(lambda: dcmread(io.BytesIO(data), specific_tags=list(_TAGS)))
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        raise InvalidInputError(f"{name} is a DICOM file of floating-point pixels, which is not read. Send an array.")
    if "PixelData" not in dataset:
        raise InvalidInputError(f"{name} is a DICOM file without a picture. Send one that has pixels.")
    frames = _guarded(lambda: _check(dataset, max_pixels))
    if frame is None and frames > 1:
        raise NotInImageError(f"{name} has {frames} frames. Say which one with frame (--frame 1 to {frames}).")
    if frame is not None and not 1 <= frame <= frames:
        raise NotInImageError(f"{name} has {frames} frame{'s' * (frames > 1)}, but frame {frame} was asked for.")
    return Dicom(dataset, (frame or 1) - 1)


def _check(dataset: Dataset, max_pixels: int) -> int:
    """Checks what the header states; the number of frames."""
    missing = [keyword for keyword in _NEEDED if dataset.get(keyword) in (None, "")]
    if not dataset.file_meta.get("TransferSyntaxUID"):
        missing.append("TransferSyntaxUID")
    if missing:
        raise InvalidInputError(
            f"The DICOM file is damaged or incomplete: it lacks {', '.join(missing)}, without which its pixels cannot "
            "be read. Send the whole file."
        )
    photometric, bits = str(dataset.PhotometricInterpretation), int(dataset.BitsAllocated)
    stored, samples = int(dataset.BitsStored), int(dataset.SamplesPerPixel)
    if (
        photometric not in (*_GREY, _PALETTE, *_COLOURS)
        or bits not in _BITS
        or not 1 <= stored <= bits
        or samples not in (1, 3)
    ):
        raise InvalidInputError("The DICOM file has pixels of a kind that cannot be read. Send grey or colour.")
    if "SegmentedRedPaletteColorLookupTableData" in dataset:
        raise InvalidInputError("The DICOM file has a palette in segments, which is not read. Save it as RGB.")
    if (samples == 1) != (photometric in (*_GREY, _PALETTE)) or int(dataset.PixelRepresentation) not in (0, 1):
        raise _damaged()
    shape = int(dataset.Rows), int(dataset.Columns), _channels(dataset)
    check_array(shape, np.dtype(f"u{max(1, bits // 8)}"), max_pixels=max_pixels)
    return max(1, int(dataset.get("NumberOfFrames") or 1))


def _channels(dataset: Dataset) -> int:
    return 1 if dataset.PhotometricInterpretation in _GREY else 3


def _decoded(dataset: Dataset, frame: int) -> AnyArray:
    """A frame's values; where they are not compressed, without bits beside those that are stored, such as overlays."""
    from pydicom.pixels.utils import pixel_array  # noqa: PLC0415 - an extra

    allocated, stored, high = (int(dataset[name].value) for name in ("BitsAllocated", "BitsStored", "HighBit"))
    is_plain = not dataset.file_meta.TransferSyntaxUID.is_encapsulated and stored < allocated
    if not is_plain or not stored <= high + 1 <= allocated or allocated < 8:
        return np.asarray(pixel_array(dataset, index=frame))
    dataset.BitsStored, dataset.HighBit = allocated, allocated - 1  # pydicom takes the lowest bits, wherever they are
    array = np.asarray(pixel_array(dataset, index=frame))
    dataset.BitsStored, dataset.HighBit = stored, high
    values: AnyArray = np.right_shift(np.left_shift(array, allocated - high - 1), allocated - stored)
    return values


def _window(centre: float, width: float, function: str, inverted: bool) -> Grade:
    """The window of a file, by DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    exact = function != "LINEAR"
    middle, half = (centre, width / 2) if exact else (centre - 0.5, (width - 1) / 2)
    low, high = middle - half, middle + max(half, 1e-6)
    if width < (0 if exact else 1) or not can_be_used(low, high):
        raise InvalidInputError("The DICOM file names a window that cannot be used. Give one with --window LOW,HIGH.")
    remark = f"The window of the DICOM file was used, {low:g} to {high:g}."
    return Grade(low, high, sigmoid=function == "SIGMOID", inverted=inverted, remark=remark)


def _table(item: Dataset, *, inverted: bool) -> Grade:
    """The table of a file, by DICOM PS3.3 C.11.2.1.1."""

    def made() -> Grade:
        count, first, bits = (int(number) for number in item.LUTDescriptor)
        entries = item.LUTData
        levels = np.frombuffer(entries, "<u2") if isinstance(entries, bytes) else np.array(entries)
        levels = levels[: count or 65536].astype(np.float32) * np.float32(255 / (2**bits - 1))
        if not len(levels) or not 8 <= bits <= 16:
            raise _damaged()
        remark = "The grey scale of the DICOM file was used (VOI LUT)."
        return Grade(first, first + len(levels) - 1, table=levels, inverted=inverted, remark=remark)

    return _guarded(made)


def _number(value: Any, default: float = math.nan) -> float:
    """A number of the file; of several the first."""
    if value is None:
        return default
    try:
        return float(value[0] if isinstance(value, Sequence) and not isinstance(value, str) else value)
    except (TypeError, ValueError, IndexError):
        return math.nan


def _guarded(read: Callable[[], T], otherwise: InvalidInputError | None = None) -> T:
    """What is read; errors of the reader say what the file holds, and are not passed on, but `otherwise`."""
    try:
        return read()
    except InvalidInputError:
        raise
    except Exception:  # pydicom and decoders raise anything on hostile bytes
        raise otherwise or _damaged() from None


def _undecodable(dataset: Dataset) -> InvalidInputError:
    """What is said of a frame that its decoder gives up: of a compressed one it may be the decoder that is at fault."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return _damaged()
    return InvalidInputError(
        f"The DICOM file is damaged or incomplete, or compressed in a way ({syntax.name[:80]}) that the decoders here "
        "do not read. Decompress it, or install pylibjpeg with its plugins (pip install pylibjpeg[all])."
    )


def _damaged() -> InvalidInputError:
    return InvalidInputError("The DICOM file is damaged or incomplete. Send the whole file.")
