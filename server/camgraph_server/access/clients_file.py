"""The clients file: who may call, with which token or certificate, and what each may do.

::

    [clients.radiology]
    token-sha256 = ["5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"]
    certificate-names = ["radiology.example.org"]
    models = ["efficientnet*"]
    rate = 5.0
    burst = 20
    calls-at-once = 8
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from camgraph_core.errors import UsageError
from camgraph_server.access.client import EVERYTHING, Client
from camgraph_server.access.clients import Clients, digest_of

_MOST_BYTES = 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{16,4096}=*")  # what may follow "Bearer", and is too long to be guessed
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def read_clients(path: Path) -> Clients:
    """Reads a clients file.

    Raises:
        UsageError: It cannot be read, or says what cannot be. The message quotes no token.
    """
    tables = _tables(path)
    by_digest: dict[bytes, Client] = {}
    by_name: dict[str, Client] = {}
    for name, table in tables.items():
        entry = _Entry(path, name, table)
        client = entry.client()
        for digest in entry.digests():
            if digest in by_digest:
                raise entry.error("", f"has a token that {by_digest[digest].name} has, too")
            by_digest[digest] = client
        for shown in entry.texts("certificate-names"):
            if shown in by_name:
                raise entry.error("certificate-names", f"has {shown!r}, which {by_name[shown].name} has, too")
            by_name[shown] = client
        entry.check_keys()
    return Clients(by_digest, by_name)


def _tables(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"The clients file {path} is larger than {_MOST_BYTES} bytes.")
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"The clients file {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:  # not TOML, not text, numbers too long, lists inside one another
        where = f" at {match[0]}" if (match := re.search(r"line \d+, column \d+", str(error))) else ""
        raise UsageError(f"The clients file {path} is not TOML{where}.") from None  # its text may quote a token
    clients = content.pop("clients", None)
    if not isinstance(clients, dict) or not clients or content:
        raise UsageError(f"The clients file {path} must have tables [clients.NAME], and nothing else.")
    return clients


class _Entry:
    """One table of the file."""

    def __init__(self, path: Path, name: str, table: Any) -> None:
        self._path, self._name = path, name
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"The clients file {path} has a client {name[:100]!r}; a name has at most 64 letters, digits, '.', '_' "
                "and '-', and begins with a letter or a digit."
            )
        if not isinstance(table, dict):
            raise self.error("", "is not a table")
        self._table = table
        self._known: set[str] = set()

    def client(self) -> Client:
        """The client, without its tokens."""
        rate = self._number("rate", float, above=0)
        burst = self._number("burst", float, at_least=1)
        if burst is not None and rate is None:
            raise self.error("burst", "needs a rate")
        models = tuple(self.texts("models", EVERYTHING))
        if not models:
            raise self.error("models", "is empty; leave it out for all models")
        return Client(
            self._name,
            is_known=True,
            models=models,
            rate=rate,
            burst=burst if burst is not None else max(1.0, rate or 0.0),
            calls_at_once=self._number("calls-at-once", int, at_least=1),
            control=self._flag("control"),
        )

    def digests(self) -> Iterator[bytes]:
        """SHA-256 of each of its tokens."""
        for number, token in enumerate(self.texts("tokens"), 1):
            if not _TOKEN.fullmatch(token):
                raise self.error("tokens", f"has a token (number {number}) that is not 16 to 4096 letters and digits")
            yield digest_of(token)
        for number, digest in enumerate(self.texts("token-sha256"), 1):
            if not _SHA256.fullmatch(digest):
                raise self.error("token-sha256", f"has an entry (number {number}) that is not 64 hexadecimal digits")
            yield bytes.fromhex(digest)

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A list of texts."""
        value = self._value(key, list(default))
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self.error(key, "is not a list of texts")
        return tuple(value)

    def check_keys(self) -> None:
        """Refuses keys that nothing asked for, and a client that nobody can be."""
        if unknown := sorted(set(self._table) - self._known):
            raise self.error(unknown[0][:100], f"is unknown; there are {', '.join(sorted(self._known))}")
        if not any(self._table.get(key) for key in ("tokens", "token-sha256", "certificate-names")):
            raise self.error("", "has neither a token nor a certificate")

    def error(self, key: str, problem: str) -> UsageError:
        """What is wrong, and where."""
        where = f"[clients.{self._name}]" + (f", {key}" if key else "")
        return UsageError(f"The clients file {self._path}: {where} {problem}.")

    def _number(self, key: str, kind: Callable[[Any], Any], *, at_least: float = 0, above: float | None = None) -> Any:
        value = self._value(key, None)
        if value is None:
            return None
        allowed = (int,) if kind is int else (int, float)
        if isinstance(value, bool) or not isinstance(value, allowed):
            raise self.error(key, "is not a number" if kind is float else "is not a whole number")
        if not at_least <= value < 1e9 or (above is not None and value <= above):
            least = f"at least {at_least}" if above is None else f"greater than {above}"
            raise self.error(key, f"must be {least} and less than 1e9")
        return kind(value)

    def _flag(self, key: str) -> bool:
        value = self._value(key, default=False)
        if not isinstance(value, bool):
            raise self.error(key, "is neither true nor false")
        return value

    def _value(self, key: str, default: Any) -> Any:
        self._known.add(key)
        return self._table.get(key, default)
