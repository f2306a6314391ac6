"""Errors of the server, and the gRPC status of every error in the project.

::

    CamgraphError
    ├── NotFoundError        NOT_FOUND: unknown model or version
    ├── NotReadyError        FAILED_PRECONDITION: the model could not be loaded
    ├── UnavailableError     UNAVAILABLE: overloaded, loading or stopping; the same request may succeed later
    ├── TooLargeError        RESOURCE_EXHAUSTED: the answer would be larger than the server allows
    ├── ExpiredError         DEADLINE_EXCEEDED: the caller's deadline passed before the work began
    └── BindError            no status: the address to listen on is not to be had
"""

from __future__ import annotations

from grpc import StatusCode

from camgraph_core.errors import (
    CamgraphError,
    InvalidInputError,
    UnknownLayerError,
    UnsupportedError,
    UsageError,
)


class NotFoundError(CamgraphError):
    """A model or version that the server does not have."""


class NotReadyError(CamgraphError):
    """A model that could not be loaded."""


class UnavailableError(CamgraphError):
    """The server cannot take the request now."""


class TooLargeError(CamgraphError):
    """An answer beyond the limit on responses."""


class ExpiredError(CamgraphError):
    """A request whose deadline passed while it waited."""


class BindError(CamgraphError):
    """An address that the server cannot listen on."""


_STATUS: tuple[tuple[type[CamgraphError], StatusCode], ...] = (
    (NotFoundError, StatusCode.NOT_FOUND),
    (UnknownLayerError, StatusCode.NOT_FOUND),
    (NotReadyError, StatusCode.FAILED_PRECONDITION),
    (UnavailableError, StatusCode.UNAVAILABLE),
    (TooLargeError, StatusCode.RESOURCE_EXHAUSTED),
    (ExpiredError, StatusCode.DEADLINE_EXCEEDED),
    (InvalidInputError, StatusCode.INVALID_ARGUMENT),
    (UsageError, StatusCode.INVALID_ARGUMENT),
    (UnsupportedError, StatusCode.FAILED_PRECONDITION),
)


def status_of(error: BaseException) -> StatusCode:
    """The status that a caller gets; INTERNAL for everything that is not the caller's doing."""
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return status
    return StatusCode.INTERNAL
