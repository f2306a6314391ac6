"""The channels of images that are not photos: their names, and the values that the model was made for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from camgraph_core.errors import UsageError

_LONGEST_NAME = 64


def check_names(names: Sequence[str]) -> None:
    """Check the names of channels.

    Raises:
        UsageError: a name is empty, too long, or there twice.

    """
    for name in names:
        if not 0 < len(name) <= _LONGEST_NAME:
            raise UsageError(f"The name of a band has 1 to {_LONGEST_NAME} characters, unlike {name[:80]!r}.")
        if list(names).count(name) > 1:
            raise UsageError(f"Two bands are called {name!r}. Give each a name of its own.")


def check_range(ends: Sequence[float]) -> None:
    """Check the lowest and highest values of channels, which take turns.

    Raises:
        UsageError: a number has no partner, or the two are not finite numbers in order.

    """
    if len(ends) % 2:
        raise UsageError(f"value_range has a low and a high number for each channel, but {len(ends)} were given.")
    for low, high in list(pairwise(ends))[::2]:
        if not (low < high and math.isfinite(high - low)):
            raise UsageError(f"value_range goes from a low to a higher number, but this is {low:g} to {high:g}.")


def names_for(names: Sequence[str] | None, channels: int) -> list[str]:
    """Return the names of the channels; none where none were stated.

    Raises:
        UsageError: there are more or fewer of them than channels.

    """
    if names is not None and len(names) != channels:
        raise UsageError(f"The input has {channels} channels, but {len(names)} bands were named. Name each of them.")
    return list(names or ())


def range_for(ends: Sequence[float] | None, channels: int) -> tuple[list[float], list[float]]:
    """Return the lowest and the highest value of each channel; two empty lists where none were stated.

    Raises:
        UsageError: there are neither two numbers nor two for each channel.

    """
    if ends is None:
        return [], []
    if len(ends) not in (2, 2 * channels):
        raise UsageError(
            f"The input has {channels} channels, but value_range has {len(ends)} numbers. Give 2 or {2 * channels}."
        )
    repeated = list(ends) * (channels if len(ends) == 2 else 1)
    return repeated[::2], repeated[1::2]
