"""Who calls: told from a token, from a certificate, or else from the machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import lru_cache

from camgraph_core.errors import UnauthenticatedError
from camgraph_server.access.client import EVERYTHING, Client
from camgraph_server.access.clients import Clients
from camgraph_server.access.peer import host_of

CALLER: ContextVar[Client] = ContextVar("camgraph_caller")
"""Who sends the call that is served, for services that are given nothing but gRPC's own objects."""

_SCHEME = "bearer "
_LONGEST_TOKEN = 4096


class Door:
    """Tells who calls.

    Args:
        clients: Gives the clients that are known; None where everybody may call.
    """

    def __init__(self, clients: Callable[[], Clients] | None) -> None:
        self._clients = clients

    def visitor(self, peer: str) -> Client:
        """A caller that is known by its machine alone. Where clients have names, it sees no model."""
        return _anonymous(host_of(peer), may_use_all=self._clients is None)

    def client(self, peer: str, authorization: Sequence[str], certificate_names: Sequence[str]) -> Client:
        """The client that sends a call.

        Args:
            peer: Address of the other side, as gRPC writes it.
            authorization: The values of the call's header ``authorization``.
            certificate_names: The names in the client's certificate, which was checked.

        Raises:
            UnauthenticatedError: It shows nothing by which it is known.
        """
        if self._clients is None:
            return Client(certificate_names[0], is_known=True) if certificate_names else self.visitor(peer)
        clients = self._clients()
        if authorization:
            return _with_token(clients, authorization)
        client = clients.with_certificate(certificate_names)
        if client is None:
            raise UnauthenticatedError(
                "This server does not know you; send the header 'authorization: Bearer TOKEN' with a token of its "
                "operator."
            )
        return client


@lru_cache(1024)
def _anonymous(host: str, *, may_use_all: bool) -> Client:
    return Client(host, models=EVERYTHING if may_use_all else (), control=may_use_all)


def _with_token(clients: Clients, authorization: Sequence[str]) -> Client:
    if len(authorization) > 1 or not authorization[0].lower().startswith(_SCHEME):
        raise UnauthenticatedError("The header 'authorization' must come once, as 'Bearer TOKEN'.")
    token = authorization[0][len(_SCHEME) :].strip()
    client = clients.with_token(token) if len(token) <= _LONGEST_TOKEN else None
    if client is None:
        raise UnauthenticatedError("The token is not valid here; ask the operator of the server for another.")
    return client
