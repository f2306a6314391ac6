"""Stops that would not end: callers that have gone, work that cannot be stopped, loading, impatience."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import time

import grpc
import pytest

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_server.config import ServerConfig
from camgraph_server.lifecycle import Server
from support.serving import PATIENCE, GatedLoader, blank_png, camgraph_command, png, server_process

HANGS = """
import sys, time
if sys.argv == ["-c"]:  # the trial's process alone
    time.sleep(600)
"""


def small() -> pb.ExplainRequest:
    return pb.ExplainRequest(image=pb.EncodedImage(data=png()))


def slow() -> pb.ExplainRequest:
    kinds = [pb.OUTPUT_KIND_OVERLAY_PNG, pb.OUTPUT_KIND_HEATMAP_PNG]
    return pb.ExplainRequest(image=pb.EncodedImage(data=blank_png(2500, 2000)), outputs=kinds)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
async def test_any_second_signal_ends_the_process(first, second, connect, repository):
    with server_process(repository, "--workers", "1") as process:
        stub = ExplanationServiceStub(connect(process.address))
        running = [asyncio.ensure_future(stub.Explain(slow(), timeout=PATIENCE)) for _ in range(8)]
        await stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE)
        process.signal(first)
        await asyncio.sleep(0.3)
        process.signal(second)
        code, _ = await asyncio.to_thread(process.wait)
        await asyncio.gather(*running, return_exceptions=True)
    assert code == -second


async def test_a_stop_does_not_wait_for_work_whose_caller_has_gone(connect, repository):
    with server_process(repository, "--workers", "1", "--grace", "600") as process:
        stub = ExplanationServiceStub(connect(process.address))
        calls = [stub.Explain(slow(), timeout=PATIENCE) for _ in range(4)]
        await stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE)
        await asyncio.sleep(0.2)
        for call in calls:
            call.cancel()
        process.signal(signal.SIGTERM)
        code, log = await asyncio.to_thread(process.wait)
    assert code == 0, log
    assert "drained=True" in log


async def test_a_stop_ends_although_a_worker_does_not(connect, repository):
    loader = GatedLoader()
    server = Server(ServerConfig(repository, listen="127.0.0.1:0", workers=1, grace=0.2, trial_load=False), loader)
    await server.start()
    stub = ExplanationServiceStub(connect(server.address))
    running = asyncio.ensure_future(stub.Explain(small(), timeout=PATIENCE))
    await asyncio.to_thread(loader.loaded.wait_entered)
    assert await asyncio.wait_for(server.stop(), PATIENCE) is False
    assert server.is_stuck
    with pytest.raises(grpc.RpcError):
        await running
    loader.loaded.release.set()


def test_a_signal_ends_the_loading_of_models(tmp_path, repository, monkeypatch):
    port_file = tmp_path / "port"
    (tmp_path / "sitecustomize.py").write_text(HANGS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    address = f"127.0.0.1:{free_port()}"
    arguments = ["serve", "--model-repository", str(repository), "--listen", address, "--grace", "600"]
    arguments += ["--port-file", str(port_file)]
    process = subprocess.Popen(camgraph_command(arguments), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        wait_for_port(address)
        process.send_signal(signal.SIGTERM)
        output, log = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0, log
    assert "stopped drained=True" in log
    assert "listening" not in output
    assert not port_file.exists()


async def test_an_answer_is_not_cut_while_it_is_written(connect, repository):
    """The reader takes 4 MB/s, so that most of the answer is still to be written when the signal comes."""
    with server_process(repository, "--grace", "25") as process:
        large = pb.ExplainRequest(image=pb.EncodedImage(data=blank_png(2000, 2000)))  # 16 MB of heatmap
        async with throttled(process.address, 4e6) as address:
            stub = ExplanationServiceStub(connect(address))
            call = asyncio.ensure_future(stub.Explain(large, timeout=PATIENCE))
            await asyncio.sleep(1.0)
            process.signal(signal.SIGTERM)
            response = await call
        code, log = await asyncio.to_thread(process.wait)
    assert len(response.explanations[0].outputs[0].tensor.data) == 16_000_000
    assert code == 0, log
    assert "drained=True" in log


@contextlib.asynccontextmanager
async def throttled(address: str, rate: float):
    """A way to a server on which answers travel at so many bytes per second."""
    host, _, port = address.rpartition(":")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pause: float) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(16384):
                writer.write(data)
                await writer.drain()
                await asyncio.sleep(len(data) * pause)
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        near, far = await asyncio.open_connection(host, int(port), limit=16384)
        await asyncio.gather(pump(reader, far, 0.0), pump(near, writer, 1 / rate))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def wait_for_port(address: str) -> None:
    host, _, port = address.rpartition(":")
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            return
        time.sleep(0.05)
    raise AssertionError("the server does not listen")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
