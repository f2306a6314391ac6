"""Names that a caller chooses from a list: what is said when there is no such name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from camgraph_core.errors import UsageError

_LONGEST = 100  # longer names resemble nothing, and comparing them takes long


def closest_names(name: str, known: Iterable[str], *, count: int = 3, cutoff: float = 0.6) -> list[str]:
    """The known names that are nearest to a wrong one, nearest first.

    Args:
        name: What was written, by anybody; a long name has none, so that it costs nothing.
        known: The names that there are.
        count: How many at most.
        cutoff: How near they must be, from 0 to 1 (equal).

    """
    if len(name) > _LONGEST:
        return []
    return difflib.get_close_matches(name, list(known), n=count, cutoff=cutoff)


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that is not known; it offers the closest ones, or all.

    Args:
        kind: What is named, such as "profile".
        name: What the caller wrote.
        known: The names that there are.

    """
    known = list(known)
    close = closest_names(name.lower(), known, count=2)
    offer = f"Did you mean {' or '.join(close)}?" if close else f"There are {', '.join(known)}."
    return UsageError(f"There is no {kind} {name!r}. {offer}")
