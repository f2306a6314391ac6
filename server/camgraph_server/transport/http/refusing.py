"""What an HTTP caller gets in place of an answer: a status, a sentence as JSON, and when to come again."""

from __future__ import annotations

import math

from camgraph_core.errors import UnknownMethodError
from camgraph_server.transport.http.endpoint import Answer
from camgraph_server.transport.refusal import Refusal

_INTERNAL = 500
_WRONG_METHOD = 405


class WrongMethodError(UnknownMethodError):
    """An address that takes other methods.

    Attributes:
        allowed: The methods.
    """

    def __init__(self, message: str, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


def refused(refusal: Refusal, error: Exception) -> Answer:
    """The answer that an error becomes."""
    status = refusal.reason.http if refusal.reason is not None else _INTERNAL
    headers = {}
    if refusal.retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(refusal.retry_after)))
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, WrongMethodError):
        status, headers["allow"] = _WRONG_METHOD, error.allowed
    reason = refusal.reason.name if refusal.reason is not None else "INTERNAL"
    return Answer.of({"error": refusal.text, "reason": reason}, status=status, headers=headers)
