"""Attacks by connections: clients that stop, flood, stay, or leave."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from chaos.herd import OWN_CONNECTION
from chaos.watched import MIB, Target
from support.http2 import Http2
from support.serving import PATIENCE, blank_png

_OPTIONS = [*OWN_CONNECTION, ("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


async def bodies_without_an_end(server: Target, size: float) -> None:
    """Large requests that lack their last byte."""
    body = pb.ExplainRequest(image=pb.EncodedImage(data=bytes(int(30 * size) * MIB + MIB))).SerializeToString()
    async with _closing([Http2.call(server.address, body, len(body) + 4) for _ in range(40)]):
        await asyncio.sleep(6 * size + 0.5)


async def unread_answers(server: Target, size: float) -> None:
    """Large answers that nobody reads."""
    side = int(3000 * size**0.5) + 10
    body = pb.ExplainRequest(image=pb.EncodedImage(data=blank_png(side, side)), top_k=3).SerializeToString()
    async with _closing([_silent(server.address, body) for _ in range(24)]):
        await asyncio.sleep(8 * size + 0.5)


async def rapid_reset(server: Target, size: float) -> None:
    """Calls that are taken back as soon as they were sent, as fast as the connection takes them."""
    client = await Http2.call(server.address, b"x", 1)
    end = time.monotonic() + 8 * size + 0.3
    with contextlib.suppress(OSError):  # the server may hang up
        for stream in itertools.count(3, 2):
            client.writer.write(Http2.headers(stream) + Http2.frame(3, 0, stream, b"\0\0\0\x08"))
            if stream % 200 == 1:
                await client.writer.drain()
                await asyncio.sleep(0)
                if time.monotonic() > end:
                    break
    client.writer.transport.abort()


async def floods_of_frames(server: Target, size: float) -> None:
    """Pings, settings, empty frames and nonsense."""
    count = int(20_000 * size) + 100
    for frame in (
        Http2.frame(6, 0, 0, bytes(8)),
        Http2.frame(4, 0, 0),
        Http2.frame(0, 0, 1),
        Http2.frame(8, 0, 0, b"\0\0\0\1"),
        Http2.frame(200, 0, 0, b"nonsense"),
        b"\xff" * 9,
    ):
        client = await Http2.call(server.address, b"x", 1)
        with contextlib.suppress(OSError, TimeoutError):
            client.writer.write(frame * count)
            await asyncio.wait_for(client.writer.drain(), 5)
        client.writer.transport.abort()


async def cancelled_calls(server: Target, size: float) -> None:
    """Large requests whose callers leave while they wait."""
    large = pb.ExplainRequest(image=pb.EncodedImage(data=bytes(int(30 * size) * MIB + MIB)))
    async with grpc.aio.insecure_channel(server.address, _OPTIONS) as channel:
        stub = ExplanationServiceStub(channel)
        slow = [_answer(stub, pb.ExplainRequest(image=pb.EncodedImage(data=blank_png(2500, 2000)))) for _ in range(4)]
        working = asyncio.gather(*slow)
        for _ in range(40):
            call = stub.Explain(large, timeout=PATIENCE)
            await asyncio.sleep(0.1 * size)
            call.cancel()
        await working


async def watches(server: Target, size: float) -> None:
    """Thousands of health watches, which last as long as their connection."""
    async with contextlib.AsyncExitStack() as stack:
        for number in range(3):
            channel = await stack.enter_async_context(
                grpc.aio.insecure_channel(server.address, [*_OPTIONS, ("number", number)])
            )
            health = health_pb2_grpc.HealthStub(channel)
            open_ones = [health.Watch(health_pb2.HealthCheckRequest()) for _ in range(int(1200 * size))]
            await asyncio.gather(*(_first(watch) for watch in open_ones[:50]))
        await asyncio.sleep(2 * size)


async def connections_that_stay(server: Target, size: float) -> None:
    """Hundreds of connections: silent, half said hello, and nonsense."""
    host, _, port = server.address.rpartition(":")
    hellos = itertools.cycle([b"", Http2.PREFACE[:10], Http2.PREFACE, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" * 100])
    writers = []
    for _ in range(int(600 * size) + 20):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(next(hellos))
        writers.append(writer)
    await asyncio.sleep(2 * size)
    for writer in writers:
        writer.transport.abort()


async def _silent(address: str, body: bytes) -> Http2:
    client = await Http2.call(address, body, len(body) + 5)
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # of asyncio's own class
    return client


@contextlib.asynccontextmanager
async def _closing(clients):
    opened = await asyncio.gather(*clients, return_exceptions=True)  # the server may hang up on some
    try:
        yield
    finally:
        for client in opened:
            if isinstance(client, Http2):
                client.writer.transport.abort()


async def _answer(stub: ExplanationServiceStub, request: pb.ExplainRequest) -> None:
    with contextlib.suppress(grpc.RpcError):
        await stub.Explain(request, timeout=PATIENCE)


async def _first(watch) -> None:
    with contextlib.suppress(grpc.RpcError, asyncio.TimeoutError):
        await asyncio.wait_for(watch.read(), 5)
