"""The connections of a server, found among the sockets of this process, as gRPC does not show them.

They are closed before gRPC is: gRPC's own stop answers calls that arrive in its last moment with CANCELLED, which
clients take for their own doing and do not send again. A closed connection is UNAVAILABLE to them.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import stat
import struct
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

_FILES = Path("/dev/fd")  # of this process, on every Unix
_NETWORKS = {socket.AF_INET, socket.AF_INET6}
_MAPPED = "::ffff:"  # before an IPv4 address on a socket that takes both
_MOMENT = 0.1  # seconds in which peers are gathered whose connections are closed together
_LOOK = 0.01  # seconds between two looks at what is still to be sent


class Endpoint:
    """Those sockets of this process that listen at an address, or were accepted there.

    Args:
        address: As it was bound: a host and a port, or the path of a socket.
    """

    def __init__(self, address: str) -> None:
        self._path = address.removeprefix("unix:") if address.startswith("unix:") else None
        self._port = None if self._path else int(address.rpartition(":")[2])

    async def close(self, patience: float) -> None:
        """Stops listening, waits until what was written so far has been sent, and closes the connections.

        Args:
            patience: Seconds that sending may take.
        """
        with socket.socket() as idle:
            for descriptor, each in self._ours():
                if each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    # gRPC keeps a descriptor, and logs no error as it would if the socket were shut down.
                    os.dup2(idle.fileno(), descriptor, inheritable=False)
        await asyncio.sleep(_LOOK)  # gRPC may just have accepted one more
        busy, end = self._unsent(), time.monotonic() + patience
        while busy and time.monotonic() < end:
            await asyncio.sleep(_LOOK)
            busy &= self._unsent()  # who had nothing left once has got all that came before
        for _, each in self._ours():
            _shut(each)

    def _unsent(self) -> set[int]:
        """Numbers (inodes) of those for which bytes wait that the other side has not confirmed."""
        return {os.fstat(descriptor).st_ino for descriptor, each in self._ours() if _is_unsent(each)}

    def _ours(self) -> Iterator[tuple[int, socket.socket]]:
        return ((descriptor, each) for descriptor, each in _sockets() if self._is_ours(each))

    def _is_ours(self, each: socket.socket) -> bool:
        name = each.getsockname()
        if self._path is not None:
            return each.family == socket.AF_UNIX and name == self._path
        return each.family in _NETWORKS and name[1] == self._port


class HangUps:
    """Closes connections to peers such as `ipv4:10.0.0.7:51234`, a moment after it is asked to.

    Those of a moment are closed by one look at the sockets: with 1,000 connections a look takes 10 ms, and all may be
    due at once. Those who call through a socket of the file system have no names, and stay.
    """

    def __init__(self) -> None:
        self._peers: set[str] = set()

    def add(self, peer: str) -> None:
        """Closes the connection to a peer soon."""
        if not self._peers:
            asyncio.get_running_loop().call_later(_MOMENT, self._close)
        self._peers.add(peer)

    def _close(self) -> None:
        ends = {_end_of(peer) for peer in self._peers}
        self._peers.clear()
        for _, each in _sockets():
            with contextlib.suppress(OSError):  # it is not connected
                if each.family in _NETWORKS:
                    name = each.getpeername()
                    if (name[0].removeprefix(_MAPPED), str(name[1])) in ends:
                        _shut(each)


def _end_of(peer: str) -> tuple[str, str]:
    host, _, port = unquote(peer.partition(":")[2]).rpartition(":")
    return host.strip("[]"), port


def _sockets() -> Iterator[tuple[int, socket.socket]]:
    """The descriptor that gRPC has of each, and a socket with one of its own, closed when the next one comes."""
    for file in _FILES.iterdir():
        with contextlib.suppress(OSError):  # it was closed in the meantime
            descriptor = int(file.name)
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                with socket.socket(fileno=os.dup(descriptor)) as each:
                    yield descriptor, each


def _shut(each: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side was first
        each.shutdown(socket.SHUT_RDWR)


def _is_unsent(each: socket.socket) -> bool:
    return bool(struct.unpack("i", fcntl.ioctl(each, termios.TIOCOUTQ, bytes(4)))[0])
