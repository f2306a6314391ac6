"""Errors on the wire: a stable reason, the exception of camgraph, and the statuses of gRPC and HTTP stand in one table.

An error travels as `google.rpc.Status` with one `google.rpc.ErrorInfo`, as Google's APIs do: in the trailing metadata
under `DETAILS_KEY`. Its domain is `DOMAIN`. The status's message is the sentence for the user.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from camgraph_core.errors import (
    CamgraphError,
    DeadlineError,
    ExpiredError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    NotInImageError,
    NotReadyError,
    OverLimitError,
    RemoteError,
    TargetError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
    UnknownLayerError,
    UnknownMethodError,
    UnsupportedError,
    UsageError,
)

DOMAIN = "camgraph"
DETAILS_KEY = "grpc-status-details-bin"


@dataclass(frozen=True, eq=False)  # each is one of a kind
class Reason:
    """What an error is called on the wire.

    Attributes:
        name: The reason of the `ErrorInfo`. It never changes.
        error: The exception.
        status: Name of gRPC's status code.
        http: HTTP's status code.

    """

    name: str
    error: type[CamgraphError]
    status: str
    http: int


REASONS = (
    Reason("NOT_IN_IMAGE", NotInImageError, "INVALID_ARGUMENT", 400),
    Reason("INVALID_TARGET", TargetError, "INVALID_ARGUMENT", 400),
    Reason("TOO_LARGE", TooLargeError, "RESOURCE_EXHAUSTED", 413),
    Reason("INVALID_INPUT", InvalidInputError, "INVALID_ARGUMENT", 400),
    Reason("UNKNOWN_LAYER", UnknownLayerError, "NOT_FOUND", 404),
    Reason("UNKNOWN_MODEL", NotFoundError, "NOT_FOUND", 404),
    Reason("INVALID_OPTION", UsageError, "INVALID_ARGUMENT", 400),
    Reason("MODEL_NOT_READY", NotReadyError, "FAILED_PRECONDITION", 503),
    Reason("UNSUPPORTED_BY_GRAPH", UnsupportedError, "FAILED_PRECONDITION", 400),
    Reason("UNAVAILABLE", UnavailableError, "UNAVAILABLE", 503),
    Reason("OVER_CLIENT_LIMIT", OverLimitError, "RESOURCE_EXHAUSTED", 429),
    Reason("UNAUTHENTICATED", UnauthenticatedError, "UNAUTHENTICATED", 401),
    Reason("FORBIDDEN", ForbiddenError, "PERMISSION_DENIED", 403),
    Reason("UNKNOWN_METHOD", UnknownMethodError, "UNIMPLEMENTED", 404),
    Reason("EXPIRED_IN_QUEUE", ExpiredError, "DEADLINE_EXCEEDED", 504),
    Reason("DEADLINE_EXCEEDED", DeadlineError, "DEADLINE_EXCEEDED", 504),
)
"""The first that fits holds: a class stands before those that it is derived from."""

_ERROR_OF = {reason.name: reason.error for reason in REASONS}


def reason_of(error: BaseException) -> Reason | None:
    """What an error is called on the wire; None for one that is not the caller's doing."""
    return _reason_of_kind(type(error))  # type: ignore[arg-type]  # classes have a hash, whatever it makes of that of their objects


@cache
def _reason_of_kind(kind: type) -> Reason | None:
    return next((reason for reason in REASONS if issubclass(kind, reason.error)), None)


def status_details(reason: Reason, message: str, retry_after: float | None = None) -> bytes:
    """The bytes of the `google.rpc.Status` that goes with an error.

    Args:
        reason: What the error is called.
        message: The sentence for the user, the same as the call's own.
        retry_after: Seconds after which the call is worth another try, if that is known.

    """
    from google.rpc import code_pb2, error_details_pb2, status_pb2  # noqa: PLC0415 - only where a call fails

    status = status_pb2.Status(code=code_pb2.Code.Value(reason.status), message=message)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason.name, domain=DOMAIN))
    if retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(retry_after * 1e3))
        status.details.add().Pack(retry)
    return bytes(status.SerializeToString())


def error_named(reason: str, message: str, retry_after: float | None = None) -> CamgraphError:
    """The exception of that reason; `RemoteError` for a reason that is not known here."""
    kind = _ERROR_OF.get(reason, RemoteError)
    if issubclass(kind, UnavailableError | OverLimitError):
        return kind(message, retry_after)
    return kind(message)


def error_from_details(details: bytes) -> CamgraphError | None:
    """The exception of a failed call, with its message; None if a server of camgraph did not give its reason.

    Args:
        details: The bytes of a `google.rpc.Status`; empty if none came.

    """
    from google.protobuf.message import DecodeError  # noqa: PLC0415 - only where a call fails
    from google.rpc import error_details_pb2, status_pb2  # noqa: PLC0415 - only where a call fails

    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    try:
        status = status_pb2.Status.FromString(details)
        is_ours = any(detail.Unpack(info) and info.domain == DOMAIN for detail in status.details)
        has_delay = any(detail.Unpack(retry) for detail in status.details)
    except DecodeError:
        return None
    if not is_ours or info.reason not in _ERROR_OF:
        return None
    return error_named(info.reason, status.message, retry.retry_delay.ToMilliseconds() / 1e3 if has_delay else None)
