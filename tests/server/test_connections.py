"""Connections are bounded, and so is what a call's headers hold."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from camgraph_server.transport import connections
from support.serving import PATIENCE, running_server

MOST = 5


async def check(channel: grpc.aio.Channel, **options) -> grpc.StatusCode:
    call = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE, **options)
    return await call.code()


async def test_connections_beyond_the_limit_are_closed_and_places_come_free(connect, repository):
    async with running_server(repository, max_connections=MOST) as server:
        host, _, port = server.address.rpartition(":")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(2 * MOST)]
        greetings = await asyncio.gather(*(asyncio.wait_for(reader.read(1), PATIENCE) for reader, _ in silent))
        assert sorted(map(len, greetings)) == [0] * MOST + [1] * MOST
        for _, writer in silent:
            writer.close()
        async with asyncio.timeout(PATIENCE):
            while await check(connect(server.address)) is not grpc.StatusCode.OK:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize(("size", "code"), [(7000, grpc.StatusCode.OK), (20_000, grpc.StatusCode.RESOURCE_EXHAUSTED)])
async def test_headers_are_bounded(size, code, connect, repository):
    async with running_server(repository) as server:
        channel = connect(server.address)
        assert await check(channel, metadata=(("x", "y" * size),)) is code
        assert await check(channel) is grpc.StatusCode.OK


async def test_connections_that_are_due_together_are_closed_by_one_look(monkeypatch):
    """A look passes by every socket of the process, on the event loop."""
    looks = []
    sockets = connections._sockets
    monkeypatch.setattr(connections, "_sockets", lambda: looks.append(1) or sockets())
    taken: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: taken.append(writer), "127.0.0.1", 0)
    callers = [await asyncio.open_connection(*server.sockets[0].getsockname()) for _ in range(20)]
    hang_ups = connections.HangUps()
    for _, writer in callers[1:]:
        host, port = writer.get_extra_info("sockname")
        hang_ups.add(f"ipv4:{host}:{port}")
    async with asyncio.timeout(PATIENCE):
        assert [await reader.read() for reader, _ in callers[1:]] == [b""] * 19
    assert looks == [1]
    assert not callers[0][0].at_eof()
    for writer in [*taken, *(writer for _, writer in callers)]:
        writer.close()
    server.close()
