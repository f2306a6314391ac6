"""Attacks over HTTP: JSON that is dear to read, bodies without an end, unread answers, silent connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable

import httpx

from chaos.watched import MIB, Target
from support.rest import EXPLAIN, b64, head
from support.serving import PATIENCE, blank_png

_INFER = "/v2/models/tiny/infer"


async def dear_json(server: Target, size: float) -> None:
    """Numbers, texts, keys, lists inside one another, and pictures that are none."""
    count = int(280_000 * size**0.5) + 10
    bodies = [
        b"[" + b",".join(b"0.1234567890123%04d" % (number % 10_000) for number in range(count)) + b"]",
        b"[" + b",".join([b'"ab"'] * count) + b"]",
        b"[" + b",".join([b"{}"] * (count // 2)) + b"]",
        b"[" * (100 * count),
        b"{" + b",".join(b'"%d":0' % number for number in range(count // 6)) + b"}",
        b"[" + b"0," * (10 * count),
        b'{"instances":[{"b64":"' + b"A" * (int(30 * size) * MIB) + b'"}]}',
        b'{"instances":[{"b64":"' + b"\\u0041" * (10 * count) + b'"}]}',
    ]
    await _sent(server, EXPLAIN, bodies * (int(4 * size) + 1))


async def http_bodies_without_an_end(server: Target, size: float) -> None:
    """Large requests that lack their last byte."""
    body = bytes(int(30 * size) * MIB + MIB)
    async with _connections(server, [head(Content_Length=len(body) + 1) + body] * 40):
        await asyncio.sleep(6 * size + 0.5)


async def http_bodies_in_many_parts(server: Target, size: float) -> None:
    """Bodies whose bytes come one by one."""
    body = b"1\r\n[\r\n" * (int(500_000 * size) + 10)
    async with _connections(server, [head(Transfer_Encoding="chunked") + body] * 8):
        await asyncio.sleep(6 * size + 0.5)


async def http_unread_answers(server: Target, size: float) -> None:
    """Large answers that nobody reads."""
    side = int(3000 * size**0.5) + 10
    image = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [b64(blank_png(side, side))]}
    asked = {
        "inputs": [image | {"parameters": {"content_type": "base64"}}],
        "outputs": [{"name": "heatmap", "parameters": {"binary_data": True}}],
        "parameters": {"top_k": 3},
    }
    body = json.dumps(asked).encode()
    async with _connections(server, [head(_INFER, Content_Length=len(body)) + body] * 24):
        await asyncio.sleep(8 * size + 0.5)


async def http_connections_that_stay(server: Target, size: float) -> None:
    """Connections that say nothing, or half of something."""
    said = [b"", b"GET / HTTP/1.1\r\nhost: he", b"\x16\x03\x01", b"POST / HTTP/1.1\r\n\r\n"]
    async with _connections(server, said * (int(240 * size) + 1)):
        await asyncio.sleep(3 * size + 0.5)


async def http_callers_that_leave(server: Target, size: float) -> None:
    """Requests whose callers close the connection at once."""
    body = json.dumps({"instances": [{"b64": b64(blank_png(1000, 1000))}] * 10}).encode()
    for _ in range(int(50 * size) + 2):
        async with _connections(server, [head(Content_Length=len(body)) + body] * 8):
            await asyncio.sleep(0.02)


async def _sent(server: Target, path: str, bodies: Iterable[bytes]) -> None:
    url = f"http://{server.http_address}"
    async with (
        httpx.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False) as client,
        asyncio.TaskGroup() as group,
    ):
        for body in bodies:
            group.create_task(_one(client, path, body))


async def _one(client: httpx.AsyncClient, path: str, body: bytes) -> None:
    with contextlib.suppress(httpx.TransportError):
        answer = await client.post(path, content=body)
        if answer.status_code >= 500 and answer.status_code != 503:  # a fault of the server
            raise AssertionError(answer.text)


@contextlib.asynccontextmanager
async def _connections(server: Target, said: Iterable[bytes]) -> AsyncIterator[None]:
    """Connections that say something each, and read nothing."""
    host, _, port = server.http_address.rpartition(":")
    writers: list[asyncio.StreamWriter] = []
    try:
        for text in said:
            with contextlib.suppress(OSError):  # the server may hang up
                _, writer = await asyncio.open_connection(host, int(port))
                writers.append(writer)
                writer.transport.pause_reading()
                writer.write(text)
        yield
    finally:
        for writer in writers:
            writer.transport.abort()
