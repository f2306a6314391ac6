"""Several processes on one port: the dead are replaced unnoticed, all stop together, and what cannot start says why."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator

import grpc
import pytest

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_core.errors import UsageError
from camgraph_runtime.run.threads import available_cores
from camgraph_server.config import ServerConfig
from camgraph_server.models.batching import worker_count
from camgraph_server.models.loading import memory_limit
from camgraph_server.processes.restarts import Restarts
from support.serving import (
    PATIENCE,
    png,
    run_camgraph,
    server_process,
    write_certificate,
)
from support.workers import fresh_channel, is_alive, listeners, until, workers_of

DIES = """
import os, sys
if sys.argv == ["-c"]:  # a worker's process alone
    os.kill(os.getpid(), 9)
"""


def request() -> pb.ExplainRequest:
    return pb.ExplainRequest(image=pb.EncodedImage(data=png()))


@contextlib.asynccontextmanager
async def clients(address: str, count: int) -> AsyncIterator[list[ExplanationServiceStub]]:
    """Clients with the retry policy of our own, each on a connection of its own."""
    async with contextlib.AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(fresh_channel(address)) for _ in range(count)]
        yield [ExplanationServiceStub(channel) for channel in channels]


async def test_a_killed_worker_fails_no_call_and_is_replaced(repository):
    with server_process(repository, "--processes", "2") as server:
        answered = 0
        is_over = asyncio.Event()

        async def call(stub: ExplanationServiceStub) -> None:
            nonlocal answered
            while not is_over.is_set():
                assert (await stub.Explain(request(), timeout=PATIENCE)).predictions
                answered += 1

        async def until_more() -> None:
            seen = answered
            await until(lambda: answered > seen + 20)

        async with clients(server.address, 8) as stubs, asyncio.TaskGroup() as group:
            for stub in stubs:
                group.create_task(call(stub))
            for _ in range(2):
                await until(lambda: listeners(server) == 2)
                victim = workers_of(server)[0]
                await until_more()
                os.kill(victim, signal.SIGKILL)
                await until_more()
            is_over.set()
        server.signal(signal.SIGTERM)
        code, log = await asyncio.to_thread(server.wait)
    assert code == 0, log
    assert log.count("how=SIGKILL") == 2


async def test_a_single_process_under_a_supervisor_comes_back_however_often_it_dies(repository, tmp_path):
    with server_process(repository, "--supervised", "--listen", f"unix:{tmp_path}/socket") as server:
        for _ in range(4):
            async with fresh_channel(server.address) as channel:
                call = ExplanationServiceStub(channel).Explain(request(), timeout=PATIENCE, wait_for_ready=True)
                assert (await call).predictions
            [victim] = workers_of(server)
            os.kill(victim, signal.SIGKILL)
            await until(lambda victim=victim: victim not in workers_of(server) and workers_of(server))
        server.signal(signal.SIGTERM)
        code, log = await asyncio.to_thread(server.wait)
    assert code == 0, log
    assert log.count("how=SIGKILL") == 4


async def test_all_stop_together_and_answer_what_they_accepted(repository, tmp_path):
    port_file = tmp_path / "port"
    with server_process(repository, "--processes", "2", "--port-file", str(port_file)) as server:
        assert server.address == f"127.0.0.1:{port_file.read_text().strip()}"
        workers = workers_of(server)
        async with clients(server.address, 6) as stubs:
            running = [asyncio.ensure_future(stub.Explain(request(), timeout=PATIENCE)) for stub in stubs for _ in "ab"]
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            server.signal(signal.SIGINT)
            code, log = await asyncio.to_thread(server.wait)
            outcomes = await asyncio.gather(*running, return_exceptions=True)
    assert code == 0, log
    assert log.count("stopped drained=True") == 2
    for outcome in outcomes:
        assert not isinstance(outcome, grpc.RpcError) or outcome.code() is grpc.StatusCode.UNAVAILABLE
    assert not any(map(is_alive, workers))


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_them_all(second, repository):
    with server_process(repository, "--processes", "2") as server:
        workers = workers_of(server)
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)  # so that none of them stops at the first signal
        server.signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        assert server.process.poll() is None
        server.signal(second)
        code, _ = await asyncio.to_thread(server.wait)
    assert code == -second
    await until(lambda: not any(map(is_alive, workers)))


async def test_workers_end_when_their_supervisor_has_gone(repository):
    with server_process(repository, "--processes", "2") as server:
        workers = workers_of(server)
        server.signal(signal.SIGKILL)
        await until(lambda: not any(map(is_alive, workers)))


def test_what_keeps_a_worker_from_starting_is_said_once(repository, tmp_path):
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    files = ("--tls-cert", str(nonsense), "--tls-key", str(nonsense))
    arguments = ("serve", "--model-repository", str(repository), "--no-trial-load", "--listen", "127.0.0.1:0")
    result = run_camgraph(*arguments, "--processes", "2", *files)
    assert result.returncode == 1
    [reason] = [line for line in result.stderr.splitlines() if "Error" in line]
    assert "nonsense.pem are not a pair" in reason


def test_a_worker_that_dies_again_and_again_at_its_start(repository, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(DIES)
    result = run_camgraph(
        *("serve", "--model-repository", str(repository), "--listen", "127.0.0.1:0", "--processes", "2"),
        PYTHONPATH=str(tmp_path),
    )
    assert result.returncode == 1
    assert "ended 3 times in a row" in result.stderr
    assert "SIGKILL" in result.stderr
    assert "listening" not in result.stdout


async def test_tls(repository, tmp_path):
    authority, certificate, key = write_certificate(tmp_path)
    files = ("--tls-cert", str(certificate), "--tls-key", str(key))
    with server_process(repository, "--processes", "2", *files) as server:
        credentials = grpc.ssl_channel_credentials(authority.read_bytes())
        options = [("grpc.ssl_target_name_override", "localhost")]
        async with grpc.aio.secure_channel(server.address, credentials, options) as channel:
            assert (await ExplanationServiceStub(channel).Explain(request(), timeout=PATIENCE)).predictions


@pytest.mark.parametrize("shares", [False, True])
def test_a_port_that_is_taken(shares, repository):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shares)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = run_camgraph("serve", "--model-repository", str(repository), "--listen", address, "--processes", "2")
    assert result.returncode == 1
    assert "--listen" in result.stderr


def test_a_socket_cannot_be_shared(tmp_path):
    with pytest.raises(UsageError, match="HOST:PORT"):
        ServerConfig(tmp_path, listen="unix:/tmp/socket", processes=2)


def test_memory_and_cores_are_divided(tmp_path):
    alone = ServerConfig(tmp_path, max_memory_mib=900)
    three = ServerConfig(tmp_path, max_memory_mib=900, processes=3)
    assert memory_limit(alone) == 3 * memory_limit(three) == 900 * 1024 * 1024
    assert worker_count(ServerConfig(tmp_path, processes=256)) == 1
    assert worker_count(ServerConfig(tmp_path, processes=1)) == available_cores()
    assert worker_count(ServerConfig(tmp_path, workers=5, processes=3)) == 5


def test_restarts_come_later_and_later_until_a_long_life():
    restarts = Restarts()
    delays = [restarts.delay_after(None) for _ in range(12)]
    assert delays[:4] == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert delays[-1] == 30.0
    assert restarts.is_hopeless
    assert restarts.delay_after(3600.0) == pytest.approx(0.1)
    assert not restarts.is_hopeless
