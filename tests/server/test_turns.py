"""Few messages of health checks and reflection are read at a time: each may be large when gRPC has unpacked it."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from camgraph_server.transport.standard import StandardServices
from camgraph_server.transport.turns import Turns

CALLS = 30


class SlowCaller:
    """The call of somebody whose message takes a moment to be read."""

    at_once = most_at_once = 0

    async def read(self) -> bytes:
        SlowCaller.at_once += 1
        SlowCaller.most_at_once = max(SlowCaller.at_once, SlowCaller.most_at_once)
        await asyncio.sleep(0.001)
        SlowCaller.at_once -= 1
        return health_pb2.HealthCheckRequest().SerializeToString()


async def test_few_messages_are_read_at_a_time_and_all_of_them_in_the_end():
    async def check(_: Any, __: Any) -> health_pb2.HealthCheckResponse:
        return health_pb2.HealthCheckResponse(status=1)

    method = grpc.unary_unary_rpc_method_handler(
        check, health_pb2.HealthCheckRequest.FromString, health_pb2.HealthCheckResponse.SerializeToString
    )
    handler = StandardServices().handler(method)
    calls: list[Any] = [SlowCaller() for _ in range(CALLS)]
    answers = await asyncio.gather(*(handler.way(caller, None) for caller in calls))
    assert len(answers) == CALLS
    assert 1 <= SlowCaller.most_at_once <= 2


async def test_the_newest_comes_first():
    turns, came = Turns(1), []
    await turns.take()

    async def come(number: int) -> None:
        await turns.take()
        came.append(number)
        turns.give_back()

    waiting = [asyncio.create_task(come(number)) for number in range(4)]
    await asyncio.sleep(0)
    turns.give_back()
    await asyncio.gather(*waiting)
    assert came == [3, 2, 1, 0]


@pytest.mark.parametrize("is_given", [False, True])
async def test_a_call_that_is_given_up_leaves_its_turn_to_others(is_given):
    turns = Turns(1)
    await turns.take()
    gone = asyncio.create_task(turns.take())
    await asyncio.sleep(0)
    if is_given:
        turns.give_back()
        gone.cancel()
    else:
        gone.cancel()
        turns.give_back()
    with pytest.raises(asyncio.CancelledError):
        await gone
    async with asyncio.timeout(5):
        await turns.take()
