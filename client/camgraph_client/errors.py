"""From a failed call to an exception: the same one as in this process, where a server of camgraph gave its reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from camgraph_core.errors import CamgraphError, DeadlineError, RemoteError, TooLargeError, UnavailableError
from camgraph_wire.errors import DETAILS_KEY, error_from_details

_CUT_OFF = {
    "CANCELLED": "Stream removed",
    "UNAVAILABLE": "Stream removed",
    "UNKNOWN": "Received http2 header with status: 5",
}
"""By the status that gRPC gives a call that was ended without a status of the server, how its text begins."""


def is_cut_off(error: Any) -> bool:
    """Whether a call was ended without a status of the server: its connection broke, or a proxy gave it up."""
    begin = _CUT_OFF.get(error.code().name)
    return begin is not None and (error.details() or "").startswith(begin)


def error_from(error: Any, address: str, timeout: float) -> CamgraphError:
    """The exception for a failed call.

    Args:
        error: A `grpc.RpcError` of either face of grpc, which has `code`, `details` and `trailing_metadata`.
        address: The server's address, for the message.
        timeout: The timeout of the call in seconds, for the message.

    """
    named = error_from_details(_status_details(error))
    if named is not None:
        return named
    status, details = error.code().name, error.details() or "no details given"
    if status == "DEADLINE_EXCEEDED":
        return DeadlineError(f"{address} gave no answer within {timeout:g} s; allow more time, or try again.")
    if status == "UNAVAILABLE" or is_cut_off(error):
        advice = "Check that it runs, the address, and TLS."
        return UnavailableError(f"No server answers at {address} ({details}). {advice}")
    if status == "UNIMPLEMENTED":
        return RemoteError(f"{address} is a gRPC server, but not one of camgraph: {_sentence(details)}")
    if status == "RESOURCE_EXHAUSTED":  # gRPC's own limit, which the server never sees
        return TooLargeError(_sentence(details))
    return RemoteError(_sentence(details))


def _status_details(error: Any) -> bytes:
    trailing: Iterable[Any] = error.trailing_metadata() or ()
    return next((value for key, value in trailing if key == DETAILS_KEY), b"")


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
