"""Windows by name: what is black and what is white in a picture of more than 8 bits."""

from __future__ import annotations

from typing import TypeAlias

from camgraph_core.errors import UsageError
from camgraph_core.names import unknown_name

Window: TypeAlias = tuple[float, float]
"""The values of a picture that become 0 and 255."""

# Centre and width in Hounsfield units, as Radiopaedia lists them (radiopaedia.org/articles/windowing-ct).
_OF_CT = {
    "abdomen": (50, 400),
    "bone": (400, 1800),
    "brain": (40, 80),
    "liver": (30, 150),
    "lung": (-600, 1500),
    "mediastinum": (50, 350),
    "spine": (50, 250),
    "stroke": (40, 40),
}

WINDOWS: dict[str, Window] = {
    **{name: (centre - width / 2, centre + width / 2) for name, (centre, width) in _OF_CT.items()},
    **{f"{bits}bit": (0.0, 2.0**bits - 1) for bits in (8, 10, 12, 14, 16)},
}
"""Windows by name: of CT in Hounsfield units, and the whole range of detectors with so many bits."""


def window_from(text: str) -> Window:
    """The window of a name, or of two numbers ``LOW,HIGH``.

    Raises:
        UsageError: The text is neither.

    """
    if text in WINDOWS:
        return WINDOWS[text]
    if text[:1].isalpha() and "," not in text:
        raise unknown_name("window", text, WINDOWS)
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"A window is two numbers LOW,HIGH, such as 0,4095, or a name such as lung, not {text!r}."
        ) from error
    return low, high
