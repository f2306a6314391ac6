"""A port that one process keeps, and others listen on."""

from __future__ import annotations

import contextlib
import socket

from camgraph_server.address import Address
from camgraph_server.errors import BindError


class HeldPort:
    """Keeps a port without listening on it, so that it stays ours while no worker process lives.

    The kernel gives connections to listeners alone, and shares them among those of one user that set SO_REUSEPORT.

    Args:
        address: Host and port; port 0 means a free one.
        option: What sets it, for an error.

    Attributes:
        address: As workers and clients use it, with the port that was found.

    Raises:
        BindError: It is taken, not allowed, or not an address of this host.
    """

    def __init__(self, address: Address, option: str = "--listen") -> None:
        host, _, port = address.text.rpartition(":")
        number = int(port)
        self._sockets: list[socket.socket] = []
        try:
            for family, *_, where in socket.getaddrinfo(host.strip("[]"), number, type=socket.SOCK_STREAM):
                held = _held(family, (where[0], number, *where[2:]))
                self._sockets.append(held)
                number = held.getsockname()[1]
        except OSError as error:
            self.close()
            raise BindError.of(address.text, option) from error
        self.address = address.with_port(number)

    def close(self) -> None:
        """Gives the port back."""
        for each in self._sockets:
            each.close()


def _held(family: int, where: tuple[object, ...]) -> socket.socket:
    """Binds to an address that nobody else listens on, also nobody who would share it."""
    with socket.socket(family, socket.SOCK_STREAM) as alone:
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        alone.bind(where)
        where = alone.getsockname()
    with contextlib.ExitStack() as on_error:
        held = on_error.enter_context(socket.socket(family, socket.SOCK_STREAM))
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(where)
        on_error.pop_all()
    return held
