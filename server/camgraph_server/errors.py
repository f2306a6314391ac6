"""Errors that only a server has."""

from __future__ import annotations

from typing import Self

from camgraph_core.errors import CamgraphError


class BindError(CamgraphError):
    """An address that the server cannot listen on."""

    @classmethod
    def of(cls, address: str, option: str = "--listen") -> Self:
        """The usual reasons, of which the system does not always tell which it is.

        Args:
            address: The address.
            option: What sets it.
        """
        return cls(
            f"Cannot listen on {address}: the address is in use, not allowed, or not an address of this host. "
            f"Choose another one with {option} HOST:PORT."
        )


class RepositoryError(CamgraphError):
    """A model repository that does not exist or cannot be read."""


class UndrainedError(CamgraphError):
    """A stop that cut off some requests."""

    @classmethod
    def after(cls, grace: float) -> Self:
        """After so many seconds."""
        return cls(f"Stopped, but some requests did not finish within {grace:g} s.")


class AuditError(CamgraphError):
    """An audit log that cannot be written."""
