"""A response on its way out."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import Message


@dataclass(frozen=True)
class Encoded:
    """A response and its bytes: a large one is serialised only once, on a worker thread, to learn its size."""

    message: Message
    data: bytes
