"""One connection of uvicorn: how many there are, how long each is silent, how it speaks, who shows a certificate."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

FIRST_REQUEST = 20.0
"""Seconds that the headers of the first request may take."""
NEXT_REQUEST = 75.0
"""Seconds from an answer until the headers of the next request have arrived, the rest of a refused body included."""

_HEADER_PORTION = 4096  # bytes of headers that are looked at together: their limit is checked between two portions
_MOST_PARTS = 4096
_PART = 1024
"""Bytes for which a body may come in one part more. Each part takes the event loop about as long as a kilobyte does."""


class _InFewParts(h11.Connection):
    """Reads requests, and refuses a body that comes in far more parts than its size needs."""

    _parts = _size = 0

    def next_event(self) -> Any:
        """What came next.

        Raises:
            RemoteProtocolError: It is not HTTP, or comes in too many parts.
        """
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._parts = self._size = 0
        elif isinstance(event, h11.Data):
            self._parts += 1
            self._size += len(event.data)
            if self._parts > _MOST_PARTS + self._size // _PART:
                raise h11.RemoteProtocolError("The body comes in too many parts.")
        return event


class Connection(H11Protocol):
    """Closes what is one too many, and what says nothing.

    Attributes:
        peer: Address of the other side, as gRPC writes it.
        certificate_names: The names in the client's certificate, which was checked.
        began: When it was opened, on the clock of `time.monotonic`.
    """

    most = 1000
    """Connections at once."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.conn = _InFewParts(h11.SERVER, self.config.h11_max_incomplete_event_size or _HEADER_PORTION)
        self.app_state = {**self.app_state, "connection": self}
        self.peer = ""
        self.certificate_names: list[str] = []
        self.began = time.monotonic()
        self._silence: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Takes it, or closes it at once."""
        super().connection_made(transport)
        host, port = self.client or ("", 0)
        self.peer = f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"
        self.certificate_names = _names(transport.get_extra_info("peercert") or {})
        if len(self.connections) > self.most:
            transport.abort()
        else:
            self._expect_request(FIRST_REQUEST)

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits for nothing any more."""
        if self._silence is not None:
            self._silence.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads headers in small portions, and a body as it comes."""
        at = 0
        while at < len(data) and not self.transport.is_closing():
            size = _HEADER_PORTION if self.conn.their_state is h11.IDLE else len(data)
            super().data_received(data[at : at + size])
            at += size

    def handle_events(self) -> None:
        """Handles what has come; the headers of a request end the wait for them."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before and self._silence is not None:
            self._silence.cancel()

    def on_response_complete(self) -> None:
        """Waits for the next request."""
        self._expect_request(NEXT_REQUEST)
        super().on_response_complete()

    def abort(self) -> None:
        """Closes it without a word; what was not sent is lost."""
        self.transport.abort()

    def _expect_request(self, patience: float) -> None:
        if self._silence is not None:
            self._silence.cancel()
        self._silence = self.loop.call_later(patience, self.transport.close)


def _names(certificate: dict[str, Any]) -> list[str]:
    """Alternative names before the common one, as gRPC gives them."""
    alternative = [value for _, value in certificate.get("subjectAltName", ())]
    common = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return [*alternative, *common]
