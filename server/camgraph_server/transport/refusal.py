"""What a caller gets in place of an answer: a status, a sentence, and details in the trailers."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from functools import cached_property, lru_cache
from traceback import clear_frames
from urllib.parse import quote

from grpc import StatusCode

from camgraph_core.errors import TooLargeError
from camgraph_server.observe.log import log_event
from camgraph_wire.errors import DETAILS_KEY, Reason, reason_of, status_details

PUSHBACK_KEY = "grpc-retry-pushback-ms"
"""Clients of gRPC wait so long before they send a call again, in place of their own delay."""

_LONGEST_TEXT = 1000  # characters
_LONGEST_READ = 2 * _LONGEST_TEXT  # of a text with spaces to leave out
_LONGEST_HEADER = 2000  # bytes; the sentence goes twice, as header and in the details, and 8192 bytes are all
_AS_THEY_ARE = "".join(map(chr, range(32, 127)))
_MORE = " ..."
_log = logging.getLogger("camgraph.request")

Trailers = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True)
class Refusal:
    """A status of gRPC, a sentence, and what goes with them.

    Attributes:
        status: The status.
        text: The sentence.
        reason: What the error is called on the wire; None for one that is not the caller's doing.
        retry_after: Seconds after which it is worth another try, if that is known.
    """

    status: StatusCode
    text: str
    reason: Reason | None = None
    retry_after: float | None = None

    @classmethod
    def of(cls, error: Exception) -> Refusal:
        """What becomes of an error. What is not the caller's doing goes to the log, under an identifier."""
        if isinstance(error, MemoryError):
            log_event(_log, logging.ERROR, "a request found no memory", trace=True)
            error = TooLargeError("The server has not enough memory for this request; send a smaller one.")
        reason = reason_of(error)
        if reason is None:
            identifier = uuid.uuid4().hex[:12]
            log_event(_log, logging.ERROR, "internal error", trace=True, error_id=identifier)
            text = f"Internal error {identifier}; the server's log has the details under this identifier."
            return cls(StatusCode.INTERNAL, text)
        delay = getattr(error, "retry_after", None)  # of errors that say when it is worth another try
        rounded = delay if delay is None else round(delay, 2)
        return _refusal(reason, str(error)[:_LONGEST_READ], rounded)

    @cached_property
    def trailers(self) -> Trailers:
        """Trailing metadata of a call that ends with it."""
        if self.reason is None:
            return ()
        trailers: Trailers = ((DETAILS_KEY, status_details(self.reason, self.text, retry_after=self.retry_after)),)
        if self.retry_after is not None:
            trailers += ((PUSHBACK_KEY, str(round(self.retry_after * 1e3))),)
        return trailers


@lru_cache(64)  # under overload many calls are refused in the same words
def _refusal(reason: Reason, text: str, retry_after: float | None) -> Refusal:
    return Refusal(StatusCode[reason.status], shortened(text), reason, retry_after)


def let_go(error: BaseException) -> None:
    """Empties the frames of an error and of those that led to it.

    They hold the request, and with an error in a cycle they would be kept until the garbage collector comes.
    """
    errors = [error]
    seen = set()
    while errors:
        current = errors.pop()
        seen.add(id(current))
        clear_frames(current.__traceback__)
        led = (current.__cause__, current.__context__)
        errors += [each for each in led if each is not None and id(each) not in seen]


def shortened(text: str) -> str:
    """One line that fits into a header, where a letter that is not ASCII takes up to 12 bytes."""
    line = " ".join(text[:_LONGEST_READ].split())
    if len(line) <= _LONGEST_TEXT and _header_bytes(line) <= _LONGEST_HEADER:
        return line
    line = line[: _LONGEST_TEXT - len(_MORE)]
    while _header_bytes(line + _MORE) > _LONGEST_HEADER:
        line = line[: len(line) * 9 // 10]
    return line + _MORE


def _header_bytes(text: str) -> int:
    return len(quote(text, safe=_AS_THEY_ARE, errors="replace"))
