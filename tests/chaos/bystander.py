"""Somebody honest beside attacks, in a process of its own: checks health, and makes small calls.

It watches once for every pair of lines on stdin. At the first it begins, and prints a line when it has been answered.
At the second it ends, and prints what it saw, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_client.channel import Connection
from chaos.herd import OWN_CONNECTION
from support.serving import PATIENCE, png

_BETWEEN_CHECKS = 0.05  # seconds
_BETWEEN_CALLS = 0.1


@dataclass
class Seen:
    """See `chaos.watched.Report`."""

    checks: int = 0
    slowest: float = 0.0
    calls: int = 0
    failures: list[str] = field(default_factory=list)


async def _main(address: str) -> None:
    while await _line():
        await _watch(address)


async def _line() -> str:
    return await asyncio.to_thread(sys.stdin.readline)


async def _watch(address: str) -> None:
    seen, is_over = Seen(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(_check_health(address, seen, is_over))
        group.create_task(_call(address, seen, is_over))
        while not (seen.failures or (seen.checks and seen.calls)):
            await asyncio.sleep(0.01)
        print(flush=True)
        await _line()
        is_over.set()
    print(json.dumps(asdict(seen)), flush=True)


async def _check_health(address: str, seen: Seen, is_over: asyncio.Event) -> None:
    async with grpc.aio.insecure_channel(address, OWN_CONNECTION) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        while not is_over.is_set():
            began = time.monotonic()
            try:
                await health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
                seen.checks += 1
            except grpc.RpcError as error:
                seen.failures.append(f"health: {error.code().name}")
            seen.slowest = max(seen.slowest, time.monotonic() - began)
            await asyncio.sleep(_BETWEEN_CHECKS)


async def _call(address: str, seen: Seen, is_over: asyncio.Event) -> None:
    """With the retry policy of camgraph's client."""
    small = pb.ExplainRequest(model_name="tiny", image=pb.EncodedImage(data=png()), outputs=[pb.OUTPUT_KIND_RAW_MAP])
    options = [*Connection(address).options(), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options) as channel:
        stub = ExplanationServiceStub(channel)
        while not is_over.is_set():
            try:
                await stub.Explain(small, timeout=PATIENCE)
                seen.calls += 1
            except grpc.RpcError as error:
                seen.failures.append(f"{error.code().name}: {error.details()}"[:80])
            await asyncio.sleep(_BETWEEN_CALLS)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
