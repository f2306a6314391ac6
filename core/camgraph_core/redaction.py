"""What others may see of a text that may hold secrets, as in a log."""

from __future__ import annotations

import re

HIDDEN = "***"

_USER = re.compile(r"(?<=://)[^/?#\s]*@")
_QUERY = re.compile(r"(://[^?#\s]*)[?#]\S*")
_VALUE = re.compile(r"(?<==)[^,]+")


def without_credentials(text: str) -> str:
    """A text without user, password and query of each URL in it; hosts and paths stay."""
    return _QUERY.sub(rf"\1?{HIDDEN}", _USER.sub(f"{HIDDEN}@", text))


def names_user(url: str) -> bool:
    """Whether a URL, or one that is chained in it, names a user or a password."""
    return _USER.search(url) is not None


def without_values(text: str) -> str:
    """`NAME:KEY=VALUE,...` without the values."""
    return _VALUE.sub(HIDDEN, text)
