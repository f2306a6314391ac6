"""The port of HTTP: bound, served by uvicorn on the server's event loop, and closed when everything is answered."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from typing import Any

import uvicorn

from camgraph_server.address import Address
from camgraph_server.config import ServerConfig
from camgraph_server.errors import BindError
from camgraph_server.followed import Followed
from camgraph_server.observe.log import log_event
from camgraph_server.transport.http.connection import NEXT_REQUEST, Connection
from camgraph_server.transport.http.reception import HttpReception
from camgraph_server.transport.tls import Certificate

_HEADER_BYTES = 16_384  # of the headers of a request
_BACKLOG = 128  # connections that may wait in the kernel
_ACCEPTED_AT_ONCE = 4  # in one pass of the event loop: more would hold up the calls of gRPC, which share it
_READ_AT_ONCE = 32_768  # bytes of a TLS connection; asyncio would hold 256 KiB for each, also for one that says nothing
_LEAST_PATIENCE = 0.2  # seconds; uvicorn looks twice in this time
_log = logging.getLogger("camgraph.http")


class HttpPort:
    """Serves an application of ASGI.

    Args:
        app: The application.
        config: The settings; the address of HTTP is set.
        certificate: The server's certificate; None for plain HTTP.

    Attributes:
        app: The application.
        address: With the port that was bound.
    """

    def __init__(self, app: HttpReception, config: ServerConfig, certificate: Followed[Certificate] | None) -> None:
        assert config.http is not None, "HTTP is asked for"
        self.app = app
        self.address = config.http
        self._shares = config.has_supervisor
        self._certificate = certificate
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=_limited(config.max_connections),
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="warning",
                access_log=False,
                proxy_headers=False,  # who calls is told by its own address, which nobody else states
                server_header=False,
                backlog=_ACCEPTED_AT_ONCE,
                timeout_keep_alive=math.ceil(NEXT_REQUEST),
                h11_max_incomplete_event_size=_HEADER_BYTES,
            )
        )
        self._socket: socket.socket | None = None
        self._ticking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Binds the port and begins to answer.

        Raises:
            BindError: The address is taken or not allowed.
        """
        server = self._server
        self._socket = _bound(self.address, shares=self._shares)
        self.address = Address.parse(self.address).with_port(self._socket.getsockname()[1])
        server.config.load()
        server.config.ssl = None if self._certificate is None else _FollowingContext.of(self._certificate)
        server.lifespan = server.config.lifespan_class(server.config)
        SSLProtocol.max_size = _READ_AT_ONCE
        await server.startup([self._socket])
        self._socket.listen(_BACKLOG)  # asyncio has one number for both
        self._ticking = asyncio.create_task(server.main_loop())
        log_event(_log, logging.INFO, "serving HTTP", address=self.address, tls=server.config.ssl is not None)

    async def stop(self, patience: float) -> None:
        """Stops listening, waits until what was written has been sent, and closes the connections.

        Args:
            patience: Seconds that sending may take.
        """
        if self._socket is None or self._ticking is None:
            return
        server = self._server
        server.should_exit = True
        await self._ticking
        with contextlib.suppress(TimeoutError):  # those that remain are cut off
            await asyncio.wait_for(server.shutdown([self._socket]), max(patience, _LEAST_PATIENCE))
        for connection in list(server.server_state.connections):
            connection.transport.abort()


class _FollowingContext(ssl.SSLContext):
    """Gives each new connection the certificate as it is then."""

    followed: Followed[Certificate]

    @classmethod
    def of(cls, followed: Followed[Certificate]) -> _FollowingContext:
        """A context that never shows anything of its own."""
        context = cls(ssl.PROTOCOL_TLS_SERVER)
        context.followed = followed
        return context

    def wrap_bio(self, *arguments: Any, **keywords: Any) -> ssl.SSLObject:
        """What asyncio calls for each connection."""
        return self.followed.get().context.wrap_bio(*arguments, **keywords)


def _limited(connections: int) -> type[Connection]:
    return type("Connection", (Connection,), {"most": connections})


def _bound(address: str, *, shares: bool) -> socket.socket:
    """A socket at an address; with ``shares``, other processes may have one there, too."""
    host, _, port = Address.parse(address).text.rpartition(":")
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        with contextlib.ExitStack() as on_error:
            bound = on_error.enter_context(socket.socket(family, kind, protocol))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shares:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind(where)
            on_error.pop_all()
    except OSError as error:
        raise BindError.of(address, "--http") from error
    return bound
