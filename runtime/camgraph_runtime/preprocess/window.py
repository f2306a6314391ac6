"""From the values of a picture that is not of 8 bits to 0..255: by a window that is given, or by what is usual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camgraph_core.errors import UsageError
from camgraph_core.shown import LARGEST
from camgraph_core.types import AnyArray
from camgraph_core.windows import Window
from camgraph_runtime.preprocess.grade import Grade

_NARROWEST = 1e-30
_ADVICE = "Say what is black and what is white with a window (--window LOW,HIGH)"
_EIGHT_BITS, _SIXTEEN_BITS = 255, 65535


@dataclass(frozen=True)
class Spread:
    """Values on the scale 0..255, uint8 or float32, and what the user should know of it; empty if nothing."""

    values: AnyArray
    remark: str = ""


def check_window(window: Window | None) -> None:
    """Checks that a window can be used.

    Raises:
        UsageError: Its ends are not finite numbers in order.

    """
    if window is not None and not can_be_used(*window):
        raise UsageError(f"A window goes from a low to a higher number, but this is {window[0]:g} to {window[1]:g}.")


def can_be_used(low: float, high: float) -> bool:
    """Whether two values are finite, in order, and far enough from each other to be black and white."""
    return -LARGEST <= low < high <= LARGEST and high - low >= _NARROWEST


def spread(values: AnyArray, window: Window | Grade | None = None) -> Spread:
    """The values of a picture on the scale 0..255.

    Without a window: 8 bits stay, of 16 bits 65535 becomes 255; numbers in 0..1 or 0..255 are taken as such, and others
    are spread from the smallest to the largest, with a remark that says so.

    Args:
        values: The picture, [H, W, C], of any element type of numbers; finite.
        window: The values that become 0 and 255; what lies outside is cut off. Or the grey scale of a file.

    """
    if isinstance(window, Grade):
        is_line = window.table is None and not window.sigmoid
        said = window.remark or (_remark_on_window(values, window.low, window.high) if is_line else "")
        return Spread(window(values), said)
    if window is not None:
        return Spread(_scaled(values, *window), _remark_on_window(values, *window))
    if values.dtype == np.uint8:
        return Spread(values)
    if values.dtype == np.bool_:
        return Spread(values.astype(np.uint8) * np.uint8(255))
    low, high, remark = usual_range(values)
    return Spread(_scaled(values, low, high), remark)


def usual_range(values: AnyArray) -> tuple[float, float, str]:
    """The values that are black and white where nobody says it, of numbers that are not of 8 bits, and a remark."""
    low, high = values.min().item(), values.max().item()
    if values.dtype.kind == "f":
        found = f"The picture holds numbers from {low:g} to {high:g}"
        for white in (1, 255):
            if low >= 0 and high <= white:
                return 0, white, f"{found}, which were read as 0 for black and {white} for white."
        return low, high, found + _WAS_SPREAD
    if has_sixteen_bits(values):
        return 0, _SIXTEEN_BITS, _remark_on_bits(values)
    return low, high, f"The picture holds whole numbers from {low} to {high}{_WAS_SPREAD}"


def _remark_on_window(values: AnyArray, low: float, high: float) -> str:
    """What to say of a window that shows nothing of a picture, or one of 8 bits as if it had more."""
    least, largest = values.min().item(), values.max().item()
    if largest < low or least > high:
        return (
            f"The window {low:g} to {high:g} shows none of the values of the picture, which go from {least:g} to "
            f"{largest:g}. Every pixel has one and the same grey."
        )
    if values.dtype == np.uint8 and (low < 0 or high > _EIGHT_BITS):
        return (
            f"The picture has 8 bits, 0 to {_EIGHT_BITS}, but the window goes from {low:g} to {high:g}. Leave it out "
            "where the picture was made with a window already."
        )
    return ""


def has_sixteen_bits(values: AnyArray) -> bool:
    """Whether values are whole numbers of more than 8 bits that fit into 16."""
    is_wide = values.dtype.kind in "iu" and values.dtype.itemsize > 1
    return is_wide and values.min() >= 0 and values.max() <= _SIXTEEN_BITS


_WAS_SPREAD = f", which were spread from black to white. {_ADVICE}."


_COMMON_WHITES = (255, 1023, 4095, 16383, 32767)  # of 8, 10, 12 and 14 bits, and of signed 16


def used_white(values: AnyArray) -> int:
    """The largest value that the used bits of 16-bit values can hold: 4095 for those of a 12-bit detector.

    It is 65535 where the highest bit is used.
    """
    return int(2 ** max(8, int(values.max()).bit_length()) - 1)


def _remark_on_bits(values: AnyArray) -> str:
    """What to say of 16-bit values of which the upper bits are not used, as of 12-bit cameras and detectors."""
    largest = values.max().item()
    if used_white(values) == _SIXTEEN_BITS:
        return ""
    # A slice of a device of 12 bits need not reach the highest of them.
    likely = next(white for white in _COMMON_WHITES if largest <= white)
    return (
        f"The picture has 16 bits, but its largest value is {largest} of {_SIXTEEN_BITS}: it was read as a dark one. "
        f"{_ADVICE}, such as 0,{likely}."
    )


def _scaled(values: AnyArray, low: float, high: float) -> AnyArray:
    is_exact = values.dtype.itemsize <= 2 or values.dtype == np.float32
    scaled: NDArray[np.floating[Any]] = values.astype(np.float32 if is_exact else np.float64)
    scaled -= low
    scaled *= 255 / (high - low if high - low >= _NARROWEST else 1.0)
    return np.clip(scaled, 0, 255, out=scaled).astype(np.float32, copy=False)
