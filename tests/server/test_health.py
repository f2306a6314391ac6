"""Health: what serves, watches that are told of every change, and callers that ask for it and say nothing."""

from __future__ import annotations

import asyncio

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from camgraph_server.transport.health import HealthServicer
from support.serving import PATIENCE, running_server, write_model

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_model_serves_if_any_version_does(repository, connect):
    write_model(repository, "several", 1)
    write_model(repository, "several", 2).write_bytes(b"broken")
    async with running_server(repository) as server:
        health = health_pb2_grpc.HealthStub(connect(server.address))
        for name in ("several", "tiny", ""):
            request = health_pb2.HealthCheckRequest(service=name)
            assert (await health.Check(request, timeout=PATIENCE)).status == SERVING


async def test_a_change_that_comes_just_before_a_watch_waits_is_told():
    servicer = HealthServicer([])
    watch = servicer.Watch(health_pb2.HealthCheckRequest(), None)
    assert (await anext(watch)).status == NOT_SERVING
    async with servicer._changed:  # so the change, and then the watch, wait for one another
        change = asyncio.ensure_future(servicer.set({"": True}))
        await asyncio.sleep(0)
        told = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
    assert (await asyncio.wait_for(told, PATIENCE)).status == SERVING
    await change
    await servicer.stop()
    assert [answer.status async for answer in watch] == [NOT_SERVING]


async def test_of_checks_that_send_nothing_the_oldest_gives_way(repository, connect, monkeypatch):
    monkeypatch.setattr("camgraph_server.transport.standard._PATIENCE", PATIENCE)
    async with running_server(repository) as server:
        check = connect(server.address).stream_unary("/grpc.health.v1.Health/Check")
        calls = []
        for _ in range(5):
            calls.append(check(timeout=PATIENCE))
            await asyncio.sleep(0.1)  # so that each is late before the next one
        assert await calls[0].code() is grpc.StatusCode.UNAVAILABLE
        assert "gave way" in await calls[0].details()
        assert not any(call.done() for call in calls[1:])
        for call in calls:
            call.cancel()
