"""Errors that only a server has."""

from __future__ import annotations

from camgraph_core.errors import CamgraphError


class BindError(CamgraphError):
    """An address that the server cannot listen on."""


class RepositoryError(CamgraphError):
    """A model repository that does not exist or cannot be read."""
