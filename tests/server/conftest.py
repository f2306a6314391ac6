from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc.aio
import pytest

from camgraph.v1 import explanation_pb2_grpc
from camgraph_server.lifecycle import Server
from support.serving import running_server, write_model

Stub = explanation_pb2_grpc.ExplanationServiceStub


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    write_model(folder)
    return folder


@pytest.fixture
async def server(repository: Path) -> AsyncIterator[Server]:
    async with running_server(repository) as started:
        yield started


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., grpc.aio.Channel]]:
    """Opens channels, with room for large messages, and closes them after the test."""
    channels = []

    def open_channel(address: str) -> grpc.aio.Channel:
        options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        channels.append(grpc.aio.insecure_channel(address, options))
        return channels[-1]

    yield open_channel
    for channel in channels:
        await channel.close()


@pytest.fixture
def stub(server: Server, connect: Callable[..., grpc.aio.Channel]) -> Stub:
    return Stub(connect(server.address))
