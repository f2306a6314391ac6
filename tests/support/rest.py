"""HTTP in tests: a server with its client, instances, and raw connections for what no client sends."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx

from camgraph_server.lifecycle import Server
from support.serving import PATIENCE, png, running_server

EXPLAIN = "/v1/models/tiny:explain"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def instance(data: bytes | None = None, **targets: Any) -> dict[str, Any]:
    return {"image": {"b64": b64(data or png())}, **targets}


def body(*instances: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"instances": list(instances or (instance(),)), **fields}


@contextlib.asynccontextmanager
async def http_server(repository: Path, *arguments: Any, **settings: Any) -> AsyncIterator[Server]:
    async with running_server(repository, *arguments, **{"http": "127.0.0.1:0"} | settings) as server:
        yield server


def client_of(server: Server, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://{server.http_address}", timeout=PATIENCE, trust_env=False, **options)


@contextlib.asynccontextmanager
async def raw_connection(address: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def head(path: str = EXPLAIN, **headers: Any) -> bytes:
    """The head of a POST."""
    lines = [f"POST {path} HTTP/1.1", "Host: here", *(f"{key.replace('_', '-')}: {headers[key]}" for key in headers)]
    return "\r\n".join([*lines, "", ""]).encode()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.02)
