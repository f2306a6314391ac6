"""Errors that only a server has, and the gRPC status of every error in the project."""

from __future__ import annotations

from grpc import StatusCode

from camgraph_core.errors import CamgraphError
from camgraph_wire.errors import reason_of


class BindError(CamgraphError):
    """An address that the server cannot listen on."""


class RepositoryError(CamgraphError):
    """A model repository that does not exist, or has no model at all."""


def status_of(error: BaseException) -> StatusCode:
    """The status that a caller gets; INTERNAL for everything that is not the caller's doing."""
    reason = reason_of(error)
    return StatusCode.INTERNAL if reason is None else StatusCode[reason.status]
