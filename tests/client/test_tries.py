"""A server that is killed when its answer has begun: gRPC's own policy sends that call no more, ours does."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from camgraph_client import AsyncClient, Client, Connection
from camgraph_client.errors import error_from
from camgraph_client.tries import Tries
from camgraph_core.errors import NotFoundError, UnavailableError
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
def dying() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server that is killed by its first call, when it has answered half: its address, and its process."""
    process = subprocess.Popen([sys.executable, "-c", ENDS_IN_THE_MIDDLE], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"127.0.0.1:{process.stdout.readline().strip()}", process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


@contextmanager
def two(folder: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """An address of a server that dies and of one that does not, and the process of the first. Calls go in turn."""
    write_model(folder)
    with dying() as (first, process), server_process(folder, "--allow-uncertified", *options) as second:
        yield f"ipv4:{first},{second.address}", process


@pytest.mark.parametrize("chunked", [False, True])
def test_a_call_is_sent_again_to_another_server(tmp_path: Path, chunked: bool) -> None:
    with two(tmp_path) as (address, first), Client(Connection(address, timeout=PATIENCE)) as client:
        while first.poll() is None:
            assert client.model(chunked=chunked).explain(png()).predictions[0].label == "cat"


@pytest.mark.parametrize("chunked", [False, True])
async def test_so_does_the_asynchronous_client(tmp_path: Path, chunked: bool) -> None:
    with two(tmp_path) as (address, first):
        async with AsyncClient(Connection(address, timeout=PATIENCE)) as client:
            while first.poll() is None:
                assert (await client.model(chunked=chunked).explain(png())).predictions[0].label == "cat"


@pytest.mark.parametrize(
    ("attempts", "call"), [(1, lambda client: client.list_models()), (4, lambda client: client.unload_model("gone"))]
)
def test_not_without_retries_and_not_where_a_call_changes_something(tmp_path: Path, attempts: int, call: Any) -> None:
    with (
        two(tmp_path, "--model-control") as (address, first),
        Client(Connection(address, timeout=PATIENCE, attempts=attempts)) as client,
    ):
        failed = []
        while first.poll() is None:
            try:
                call(client)
            except NotFoundError:  # by the other server
                continue
            except UnavailableError as error:
                failed.append(str(error))
                first.wait(PATIENCE)
        assert len(failed) == 1
        assert "Stream removed" in failed[0]


def test_calls_go_in_turn_to_all_servers_of_an_address(tmp_path: Path) -> None:
    write_model(tmp_path)
    with (
        server_process(tmp_path, "--allow-uncertified") as first,
        server_process(tmp_path, "--allow-uncertified") as second,
    ):
        servers = (first, second)
        with Client(Connection(f"ipv4:{first.address},{second.address}", timeout=PATIENCE, attempts=1)) as client:
            for _ in range(40):
                client.list_models()
        for server in servers:
            server.signal(signal.SIGTERM)
        counts = [server.wait()[1].count("rpc=ListModels") for server in servers]
    assert sum(counts) == 40
    assert min(counts) >= 10, counts  # until both are connected, one has them all


class Failed:
    """A call that failed, as gRPC tells of it."""

    def __init__(self, code: str, details: str) -> None:
        self._code, self._details = grpc.StatusCode[code], details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> None:
        """It has none."""


@pytest.mark.parametrize(
    ("code", "details", "again"),
    [
        ("UNAVAILABLE", "Stream removed (Socket closed)", True),
        ("CANCELLED", "Stream removed (RST_STREAM (Received RST_STREAM with error code 8))", True),
        ("UNKNOWN", "Received http2 header with status: 500", True),
        ("UNKNOWN", "Received http2 header with status: 404", False),
        ("UNKNOWN", "Exception calling application", False),
        ("UNAVAILABLE", "failed to connect to all addresses", False),
        ("CANCELLED", "Locally cancelled by application!", False),
        ("INVALID_ARGUMENT", "Stream removed", False),
    ],
)
def test_only_what_ended_without_a_status_is_sent_again(code: str, details: str, again: bool) -> None:
    tries = Tries(Connection("x", timeout=PATIENCE), "Explain")
    assert (tries.again(Failed(code, details)) is not None) is again
    is_unavailable = isinstance(error_from(Failed(code, details), "x", PATIENCE), UnavailableError)
    assert is_unavailable is (again or code == "UNAVAILABLE")


def test_there_are_as_many_tries_as_the_connection_says_within_its_timeout() -> None:
    error = Failed("UNAVAILABLE", "Stream removed")
    tries = Tries(Connection("x", timeout=PATIENCE, attempts=4), "Explain")
    assert [tries.again(error) for _ in range(4)] == [0.1, 0.2, 0.4, None]
    assert Tries(Connection("x", timeout=0.05, attempts=4), "Explain").again(error) is None
    assert Tries(Connection("x", timeout=PATIENCE, attempts=4), "UnloadModel").again(error) is None
