"""The clients that a server knows, by their tokens and by the names in their certificates."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from typing import ClassVar

from camgraph_server.access.client import Client


class Clients:
    """A table of clients that never changes.

    Of a token, only its SHA-256 is kept. What is looked up is a keyed hash of that, whose key nobody knows: how long it
    takes says nothing of how near a guess was.

    Args:
        by_digest: The clients by the SHA-256 of their tokens.
        by_name: The clients by the names in their certificates.
    """

    _KEY: ClassVar[bytes] = secrets.token_bytes(32)

    def __init__(self, by_digest: Mapping[bytes, Client], by_name: Mapping[str, Client]) -> None:
        self._by_hash = {self._hash(digest): client for digest, client in by_digest.items()}
        self._by_name = dict(by_name)

    @property
    def has_tokens(self) -> bool:
        """Whether any client has a token."""
        return bool(self._by_hash)

    @property
    def has_certificates(self) -> bool:
        """Whether any client is known by its certificate."""
        return bool(self._by_name)

    def with_token(self, token: str) -> Client | None:
        """The client with that token."""
        return self._by_hash.get(self._hash(digest_of(token)))

    def with_certificate(self, names: Iterable[str]) -> Client | None:
        """The client with a certificate of one of these names."""
        return next((self._by_name[name] for name in names if name in self._by_name), None)

    @classmethod
    def _hash(cls, digest: bytes) -> bytes:
        return hashlib.blake2b(digest, key=cls._KEY, digest_size=32).digest()


def digest_of(token: str) -> bytes:
    """SHA-256 of a token."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()
