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
_MOST_REMEMBERED = 1024  # peers


class Door:
    """Tells who calls.

    Args:
        clients: Gives the clients that are known; None where everybody may call.

    Attributes:
        visitor: Gives the caller behind a peer that is known by its machine alone. Where clients have names, it sees no
            model.
    """

    def __init__(self, clients: Callable[[], Clients] | None) -> None:
        self._clients = clients
        self.visitor = lru_cache(_MOST_REMEMBERED)(self._visitor)

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

    def _visitor(self, peer: str) -> Client:
        is_open = self._clients is None
        return Client(host_of(peer), models=EVERYTHING if is_open else (), control=is_open)


def _with_token(clients: Clients, authorization: Sequence[str]) -> Client:
    if len(authorization) > 1 or not authorization[0].lower().startswith(_SCHEME):
        raise UnauthenticatedError("The header 'authorization' must come once, as 'Bearer TOKEN'.")
    client = clients.with_token(authorization[0][len(_SCHEME) :].strip())
    if client is None:
        raise UnauthenticatedError("The token is not valid here; ask the operator of the server for another.")
    return client
