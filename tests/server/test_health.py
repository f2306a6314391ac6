"""Watches of health: each is told of every change, whenever it comes."""

from __future__ import annotations

import asyncio

from grpc_health.v1 import health_pb2

from camgraph_server.transport.health import HealthServicer
from support.serving import PATIENCE


async def test_a_change_that_comes_just_before_a_watch_waits_is_told():
    servicer = HealthServicer([])
    watch = servicer.Watch(health_pb2.HealthCheckRequest(), None)
    assert (await anext(watch)).status == health_pb2.HealthCheckResponse.NOT_SERVING
    async with servicer._changed:  # so the change, and then the watch, wait for one another
        change = asyncio.ensure_future(servicer.set({"": True}))
        await asyncio.sleep(0)
        told = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
    assert (await asyncio.wait_for(told, PATIENCE)).status == health_pb2.HealthCheckResponse.SERVING
    await change
    await servicer.stop()
    assert [answer.status async for answer in watch] == [health_pb2.HealthCheckResponse.NOT_SERVING]
