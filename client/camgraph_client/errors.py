"""Errors that only a remote call has, and the way from a gRPC status to an exception.

::

    CamgraphError
    └── RemoteError            the server failed, or gave a status that has no class of its own
        ├── UnavailableError   no server answers, or it is overloaded or stopping
        └── DeadlineError      no answer in time

What is wrong with the request itself comes as the same exception as in-process: `InvalidInputError`,
`TargetError`, `UnsupportedError`, `UsageError`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from camgraph_core import errors as runtime_errors
from camgraph_core.errors import CamgraphError, InvalidInputError, UnsupportedError, UsageError

ERROR_KEY = "camgraph-error"
"""Key of the trailing metadata in which the server names the class of the error."""


class RemoteError(CamgraphError):
    """A call that the server did not answer with a result."""


class UnavailableError(RemoteError):
    """No server, or one that cannot take the call now; the same call may succeed later."""


class DeadlineError(RemoteError):
    """No answer within the timeout of the call."""


# Names, so that telling the errors apart needs no grpc.
_BY_STATUS: dict[str, type[CamgraphError]] = {
    "INVALID_ARGUMENT": InvalidInputError,
    "NOT_FOUND": UsageError,
    "FAILED_PRECONDITION": UnsupportedError,
    "RESOURCE_EXHAUSTED": InvalidInputError,
}


def error_from(error: Any, address: str, timeout: float) -> CamgraphError:
    """The exception for a failed call.

    Args:
        error: a `grpc.RpcError` of either face of grpc, which has `code`, `details` and `trailing_metadata`.
        address: the server's address, for the message.
        timeout: the timeout of the call in seconds, for the message.
    """
    status, details = error.code().name, error.details() or "no details given"
    if status == "DEADLINE_EXCEEDED":
        return DeadlineError(f"{address} gave no answer within {timeout:g} s; allow more time, or try again.")
    if status == "UNAVAILABLE":
        return UnavailableError(_unavailable_text(error, details, address))
    if status == "UNIMPLEMENTED":
        return RemoteError(f"{address} is a gRPC server, but not one of camgraph: {_sentence(details)}")
    named = getattr(runtime_errors, _named_class(error), None)
    if isinstance(named, type) and issubclass(named, CamgraphError):
        return named(details)
    return _BY_STATUS.get(status, RemoteError)(_sentence(details))


def _unavailable_text(error: Any, details: str, address: str) -> str:
    if _named_class(error):  # the server itself refused
        return details
    return f"No server answers at {address} ({details}). Check that it runs, the address, and TLS."


def _named_class(error: Any) -> str:
    trailing: Iterable[Any] = error.trailing_metadata() or ()
    return next((str(value) for key, value in trailing if key == ERROR_KEY), "")


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
