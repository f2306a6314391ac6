"""A server that is killed when its answer has begun: gRPC's own policy sends that call no more, ours does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from camgraph_client import AsyncClient, Client, Connection
from camgraph_core.errors import UnavailableError
from support.serving import PATIENCE, png, server_process, write_model

ENDS_IN_THE_MIDDLE = """
import os, sys, threading
import grpc

def answer(request, context):
    yield b""
    threading.Event().wait(0.2)  # until the message has left
    os.kill(os.getpid(), 9)

class All(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_stream_rpc_method_handler(answer)

from concurrent.futures import ThreadPoolExecutor
server = grpc.server(ThreadPoolExecutor(1), handlers=[All()])
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
"""


@contextmanager
def dying() -> Iterator[str]:
    """The address of a server that is killed by its first call, when it has answered half."""
    process = subprocess.Popen([sys.executable, "-c", ENDS_IN_THE_MIDDLE], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_call_is_sent_again_to_another_server(tmp_path: Path, chunked: bool) -> None:
    write_model(tmp_path)
    with (
        dying() as first,
        server_process(tmp_path, "--allow-uncertified") as second,
        Client(Connection(f"ipv4:{first},{second.address}", timeout=PATIENCE)) as client,
    ):
        assert client.model(chunked=chunked).explain(png()).predictions[0].label == "cat"


@pytest.mark.parametrize("chunked", [False, True])
async def test_so_does_the_asynchronous_client(tmp_path: Path, chunked: bool) -> None:
    write_model(tmp_path)
    with dying() as first, server_process(tmp_path, "--allow-uncertified") as second:
        async with AsyncClient(Connection(f"ipv4:{first},{second.address}", timeout=PATIENCE)) as client:
            assert (await client.model(chunked=chunked).explain(png())).predictions[0].label == "cat"


@pytest.mark.parametrize(
    ("attempts", "call"), [(1, lambda client: client.list_models()), (4, lambda client: client.unload_model("tiny"))]
)
def test_not_without_retries_and_not_where_a_call_changes_something(tmp_path: Path, attempts: int, call: Any) -> None:
    write_model(tmp_path)
    with (
        dying() as first,
        server_process(tmp_path, "--allow-uncertified", "--model-control") as second,
        Client(Connection(f"ipv4:{first},{second.address}", timeout=PATIENCE, attempts=attempts)) as client,
    ):
        with pytest.raises(UnavailableError, match="Stream removed"):
            call(client)
        assert [model.state for model in client.list_models()] == ["ready"]
