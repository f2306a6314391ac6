"""Worker processes of a server, as the system sees them, and clients on connections of their own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc

from camgraph_client.channel import Connection
from support.serving import PATIENCE, ServerProcess


def workers_of(server: ServerProcess) -> list[int]:
    pid = server.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    return False


def listeners(server: ServerProcess) -> int:
    """Sockets that listen on the server's port."""
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text("ascii").splitlines()
    ]
    port = f":{int(server.address.rpartition(':')[2]):04X}"
    return sum(line[1].endswith(port) and line[3] == "0A" for line in lines)


async def until(condition) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def fresh_channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """A channel with the retry policy of our own, on a connection that it shares with no other."""
    options = [*Connection(address).options(), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options) as channel:
        yield channel
