"""Names that a caller chooses from a list: what is said when there is no such name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from camgraph_core.errors import UsageError

_LONGEST = 100  # longer names resemble nothing, and comparing them takes long


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that is not known; it offers the closest ones, or all.

    Args:
        kind: What is named, such as "profile".
        name: What the caller wrote.
        known: The names that there are.

    """
    known = list(known)
    close = difflib.get_close_matches(name.lower(), known, n=2) if len(name) <= _LONGEST else []
    offer = f"Did you mean {' or '.join(close)}?" if close else f"There are {', '.join(known)}."
    return UsageError(f"There is no {kind} {name!r}. {offer}")
