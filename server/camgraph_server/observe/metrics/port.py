"""The port of the metrics: plain HTTP on threads of its own, which answer also while the event loop is blocked."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from camgraph_server.address import Address
from camgraph_server.errors import BindError
from camgraph_server.observe.log import log_event
from camgraph_server.observe.observers import Observer

_MOST_CONNECTIONS = 8
"""The oldest is closed for a further one: who holds connections open keeps nobody else out."""
_PATIENCE = 10.0
"""Seconds that a reader may take for a request or a part of the answer."""
_DEAD = 10.0
"""Seconds without a turn after which the event loop counts as dead."""
_PLAIN = "text/plain; charset=utf-8"
_log = logging.getLogger("camgraph.metrics")


class MetricsPort(Observer):
    """Serves `/metrics` for Prometheus and `/healthz` for a liveness probe.

    Args:
        address: HOST:PORT; port 0 means a free one.
        registry: The metrics.
        stall: For how many seconds the event loop has been blocked.

    Attributes:
        address: With the port that was bound.
        registry: The metrics.
    """

    def __init__(self, address: str, registry: CollectorRegistry, stall: Callable[[], float]) -> None:
        self.address = address
        self.registry = registry
        self._pages = {"/metrics": _metrics_page(registry), "/healthz": _health_page(stall)}
        self._server: _Server | None = None

    async def start(self) -> None:
        """Binds the port and begins to answer.

        Raises:
            BindError: The address is taken or not allowed.
        """
        try:
            self._server = _Server(self.address, self._pages)
        except OSError as error:
            raise BindError(
                f"Cannot serve metrics on {self.address}: {error.strerror or error}. Choose another address with "
                "--metrics HOST:PORT."
            ) from error
        self.address = Address.parse(self.address).with_port(self._server.server_address[1])
        log_event(_log, logging.INFO, "serving metrics", address=self.address)
        threading.Thread(target=self._server.serve_forever, name="camgraph-metrics", daemon=True).start()

    async def stop(self) -> None:
        """Closes the port."""
        if self._server is not None:
            await asyncio.to_thread(self._server.shutdown)  # which waits for a look of its thread, twice a second
            self._server.server_close()


Page = Callable[[str], tuple[HTTPStatus, str, bytes]]
"""From the header Accept to status, content type and text."""


def _metrics_page(registry: CollectorRegistry) -> Page:
    def page(accept: str) -> tuple[HTTPStatus, str, bytes]:
        encode, kind = choose_encoder(accept)
        return HTTPStatus.OK, kind, encode(registry)

    return page


def _health_page(stall: Callable[[], float]) -> Page:
    def page(_: str) -> tuple[HTTPStatus, str, bytes]:
        seconds = stall()
        if seconds > _DEAD:
            text = f"The event loop has been blocked for {seconds:.0f} s.\n"
            return HTTPStatus.SERVICE_UNAVAILABLE, _PLAIN, text.encode()
        return HTTPStatus.OK, _PLAIN, b"ok\n"

    return page


class _Server(ThreadingHTTPServer):
    """A thread for each connection, and few connections."""

    block_on_close = False  # a slow reader does not hold up the stop
    daemon_threads = True

    def __init__(self, address: str, pages: dict[str, Page]) -> None:
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.pages = pages
        self._connections: deque[socket.socket] = deque()
        super().__init__((host, int(port)), _Handler)

    def server_bind(self) -> None:
        """Binds, without the look-up of the host's name that `HTTPServer` does."""
        TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answers on a new thread; the oldest connection gives way."""
        self._connections.append(request)
        if len(self._connections) > _MOST_CONNECTIONS:
            with contextlib.suppress(OSError):  # its thread is closing it
                self._connections.popleft().shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Closes a connection that was answered."""
        with contextlib.suppress(ValueError):  # it has given way
            self._connections.remove(request)
        super().shutdown_request(request)

    def handle_error(self, _: Any, client_address: Any) -> None:
        """A reader that has gone, or is too slow, is nothing to report; what else fails is."""
        if not isinstance(sys.exception(), OSError):
            log_event(_log, logging.ERROR, "metrics cannot be given", trace=True, peer=client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _PATIENCE

    def do_GET(self) -> None:
        """Answers with a page."""
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            self._answer(HTTPStatus.NOT_FOUND, _PLAIN, b"There is /metrics and /healthz.\n")
        else:
            self._answer(*page(self.headers.get("Accept", "")))

    def log_message(self, *_: Any) -> None:
        """Scrapes are not worth a line of the log."""

    def _answer(self, status: HTTPStatus, kind: str, text: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
