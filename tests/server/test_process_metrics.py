"""The metrics of several processes on one port."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_server.processes.metrics import ProcessMetrics
from support.serving import PATIENCE, png, run_camgraph, server_process
from support.workers import fresh_channel, workers_of

CALLS = 12


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return f"127.0.0.1:{found.getsockname()[1]}"


def by_process(address: str, name: str) -> dict[str, float]:
    """The sum of a metric's samples for each process; those of the whole have none."""
    sums: dict[str, float] = {}
    with urlopen(f"http://{address}/metrics", timeout=PATIENCE) as answer:
        for family in text_string_to_metric_families(answer.read().decode()):
            for sample in family.samples:
                if sample.name == name:
                    process = sample.labels.get("process", "")
                    sums[process] = sums.get(process, 0) + sample.value
    return sums


async def call(address: str) -> None:
    """A call on a connection of its own, so that the kernel chooses a worker."""
    async with fresh_channel(address) as channel:
        image = pb.EncodedImage(data=png())
        await ExplanationServiceStub(channel).Explain(pb.ExplainRequest(image=image), timeout=PATIENCE)


def test_a_worker_that_ends_while_it_tells_its_metrics_is_left_out():
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as worker:

        def tell_a_part() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n# HELP up")

        told = worker.submit(tell_a_part)
        metrics = ProcessMetrics(free_address(), lambda: [f"127.0.0.1:{listening.getsockname()[1]}"])
        values = {metric.name: [sample.value for sample in metric.samples] for metric in metrics.collect()}
        told.result()
    assert values["camgraph_processes"] == [0]


async def test_the_numbers_of_all_processes_add_up(repository):
    address = free_address()
    with server_process(repository, "--processes", "2", "--metrics", address) as server:
        for _ in range(CALLS):
            await call(server.address)
        handled = await asyncio.to_thread(by_process, address, "grpc_server_handled_total")
        memory = await asyncio.to_thread(by_process, address, "process_resident_memory_bytes")
        assert sum(handled.values()) == CALLS
        assert set(handled) <= {"0", "1"}
        assert set(memory) == {"0", "1", "supervisor"}
        assert await asyncio.to_thread(by_process, address, "camgraph_processes") == {"": 2}
        os.kill(workers_of(server)[0], signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            while await asyncio.to_thread(by_process, address, "camgraph_process_restarts_total") != {"": 1}:
                await asyncio.sleep(0.05)
            while await asyncio.to_thread(by_process, address, "camgraph_processes") != {"": 2}:
                await asyncio.sleep(0.05)


def test_a_port_that_is_taken(repository):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        arguments = ("--listen", "127.0.0.1:0", "--processes", "2", "--metrics", address)
        result = run_camgraph("serve", "--model-repository", str(repository), *arguments)
    assert result.returncode == 1
    assert f"Cannot serve metrics on {address}" in result.stderr
