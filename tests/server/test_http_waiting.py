"""HTTP requests that wait or are waited for: overload, deadlines, callers that go away or are slow, and stops."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from camgraph_server.lifecycle import Server
from camgraph_server.transport.http import connection, port
from support.rest import EXPLAIN, b64, body, client_of, head, http_server, instance, raw_connection, until
from support.serving import PATIENCE, GatedLoader, blank_png, server_process

TEXT = json.dumps(body()).encode()
LARGE = json.dumps(
    {
        "inputs": [
            {
                "name": "image",
                "datatype": "BYTES",
                "shape": [1],
                "data": [b64(blank_png(2400, 2000))],
                "parameters": {"content_type": "base64"},
            }
        ],
        "outputs": [{"name": "heatmap", "parameters": {"binary_data": True}}],
    }
).encode()  # 19 MB of heatmap
INFER = "/v2/models/tiny/infer"


def ended(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.camgraph_facts for record in caplog.records if record.getMessage() == "call"]


@pytest.fixture
def loader() -> GatedLoader:
    return GatedLoader()


async def busy(server: Server, loader: GatedLoader, client: httpx.AsyncClient) -> asyncio.Task[httpx.Response]:
    """A request that runs until the loader's explainer is released."""
    task = asyncio.create_task(client.post(EXPLAIN, content=TEXT))
    await asyncio.to_thread(loader.loaded.wait_entered)
    return task


async def test_the_images_of_a_request_take_no_more_tasks_than_workers(repository, loader):
    """The event loop passes by every task that begins or ends: hundreds of them hold up health checks."""
    async with http_server(repository, loader, workers=2) as server, client_of(server) as client:
        asked = asyncio.create_task(client.post(EXPLAIN, json={"instances": [instance()] * 60}))
        await asyncio.to_thread(loader.loaded.wait_entered, 2)
        of_images = [task for task in asyncio.all_tasks() if "Instances" in task.get_coro().__qualname__]
        loader.loaded.release.set()
        answer = await asked
    assert len(of_images) == 2
    assert len(answer.json()["explanations"]) == 60


async def test_a_full_server_refuses_before_the_body_is_sent(repository, loader):
    async with http_server(repository, loader, workers=1, queue_capacity=0) as server, client_of(server) as client:
        running = await busy(server, loader, client)
        async with raw_connection(server.http_address) as (reader, writer):
            writer.write(head(Content_Length=1000, Expect="100-continue"))
            answer = (await reader.readuntil(b"\r\n\r\n")).decode()
            told = json.loads(await reader.readexactly(int(answer.partition("content-length: ")[2].split()[0])))
        loader.loaded.release.set()
        assert (await running).status_code == 200
    assert answer.startswith("HTTP/1.1 503 ")
    assert int(answer.partition("retry-after: ")[2].split()[0]) >= 1
    assert told["reason"] == "UNAVAILABLE"


async def test_health_is_told_while_the_server_is_full(repository, loader):
    async with http_server(repository, loader, workers=1, queue_capacity=0) as server, client_of(server) as client:
        running = await busy(server, loader, client)
        for path in ("/v2/health/live", "/v2/health/ready", "/v1/models/tiny", "/metrics"):
            assert (await client.get(path)).status_code == 200
        loader.loaded.release.set()
        await running


async def test_a_deadline_ends_what_runs(repository, loader, caplog):
    caplog.set_level("INFO")
    async with http_server(repository, loader, workers=1) as server, client_of(server) as client:
        headers = {"x-envoy-expected-rq-timeout-ms": "300"}
        answer = await client.post(EXPLAIN, content=TEXT, headers=headers)
        assert (answer.status_code, answer.json()["reason"]) == (504, "DEADLINE_EXCEEDED")
        loader.loaded.release.set()
        ignored = await client.post(EXPLAIN, content=TEXT, headers={"x-envoy-expected-rq-timeout-ms": "soon"})
        assert ignored.status_code == 200
    assert [fact["status"] for fact in ended(caplog)] == ["DEADLINE_EXCEEDED", "OK"]


async def test_a_caller_that_goes_away_is_not_worked_for(repository, loader, caplog):
    caplog.set_level("INFO")
    async with http_server(repository, loader, workers=1) as server, client_of(server) as client:
        running = await busy(server, loader, client)
        async with raw_connection(server.http_address) as (_, writer):
            writer.write(head(Content_Length=len(TEXT)) + TEXT)
            await until(lambda: server.parts.scheduler.jobs["waiting"])
        await until(lambda: not server.parts.scheduler.jobs["waiting"])
        running.cancel()  # closes its connection
        await until(lambda: not server.parts.gate.in_flight)
        loader.loaded.release.set()
        assert (await client.post(EXPLAIN, content=TEXT)).status_code == 200
        assert loader.loaded.runs == 2
        assert server.parts.budgets["requests"].held == 0
        await until(lambda: not server.parts.budgets["answers"].held)
    assert [fact["status"] for fact in ended(caplog)] == ["CANCELLED", "CANCELLED", "OK"]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_body_that_does_not_come_is_given_up(repository, caplog):
    caplog.set_level("INFO")
    async with http_server(repository, receive_timeout=0.3) as server:
        async with raw_connection(server.http_address) as (reader, writer):
            writer.write(head(Content_Length=len(TEXT)) + TEXT[:100])
            answer = await reader.readuntil(b"\r\n\r\n")
        await until(lambda: not server.parts.gate.in_flight)
        assert server.parts.budgets["requests"].held == 0
    assert answer.startswith(b"HTTP/1.1 504 ")
    assert "did not arrive" in ended(caplog)[0]["reason"]


async def test_a_caller_that_goes_away_with_half_a_body_leaves_nothing(repository, caplog):
    caplog.set_level("INFO")
    async with http_server(repository) as server:
        async with raw_connection(server.http_address) as (_, writer):
            writer.write(head(Content_Length=len(TEXT)) + TEXT[:100])
            await until(lambda: server.parts.budgets["requests"].held)
        await until(lambda: not server.parts.gate.in_flight)
        assert server.parts.budgets["requests"].held == 0
    assert [fact["status"] for fact in ended(caplog)] == ["CANCELLED"]


async def test_a_body_waits_for_memory_and_the_slow_give_way(repository, monkeypatch):
    monkeypatch.setattr("camgraph_server.transport.receiving.IN_NEED", 0.6)
    async with http_server(repository, max_memory_mib=64, max_request_mib=8) as server, client_of(server) as client:
        most = 4 * 1024 * 1024  # four times that is all the memory of requests
        async with raw_connection(server.http_address) as (slow_reader, slow):
            slow.write(head(Content_Length=most))
            await until(lambda: server.parts.budgets["requests"].held)
            async with raw_connection(server.http_address) as (reader, writer):
                writer.write(head(Content_Length=len(TEXT), Expect="100-continue"))
                assert (await slow_reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 503 ")
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
            assert (await client.get("/")).status_code == 200


async def test_an_answer_that_is_not_read_loses_its_connection(repository, caplog):
    caplog.set_level("INFO")
    async with (
        http_server(repository, write_timeout=0.3, max_memory_mib=1024) as server,
        raw_connection(server.http_address) as (reader, writer),
    ):
        writer.transport.pause_reading()
        writer.write(head(INFER, Content_Length=len(LARGE)) + LARGE)
        await until(lambda: ended(caplog))
        await until(lambda: not server.parts.budgets["answers"].held and not server.parts.gate.in_flight)
        writer.transport.resume_reading()
        read = 0
        while data := await asyncio.wait_for(reader.read(65536), PATIENCE):
            read += len(data)
    [call] = ended(caplog)
    assert (call["status"], call["stage"]) == ("DEADLINE_EXCEEDED", "write")
    assert "was not read" in call["reason"]
    assert read < 2400 * 2000 * 4  # bytes of the heatmap
    assert "sent" not in call


async def test_a_connection_that_says_nothing_is_closed(repository, monkeypatch):
    monkeypatch.setattr(connection, "FIRST_REQUEST", 0.2)
    monkeypatch.setattr(connection, "NEXT_REQUEST", 0.2)
    async with http_server(repository) as server:
        for said in (b"", b"GET / HTTP/1.1\r\nhost: he"):
            async with raw_connection(server.http_address) as (reader, writer):
                writer.write(said)
                assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        async with raw_connection(server.http_address) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nhost: here\r\ncontent-length: 10\r\n\r\n")  # and no body
            assert (await asyncio.wait_for(reader.read(), PATIENCE)).startswith(b"HTTP/1.1 200 ")


async def test_a_connection_too_many_is_closed(repository):
    async with (
        http_server(repository, max_connections=1) as server,
        raw_connection(server.http_address) as (reader, writer),
    ):
        async with raw_connection(server.http_address) as (second, _):
            assert await asyncio.wait_for(second.read(), PATIENCE) == b""
        writer.write(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_an_old_connection_is_closed_after_its_answer(repository):
    async with (
        http_server(repository, max_connection_age=0.01) as server,
        raw_connection(server.http_address) as (reader, writer),
    ):
        await asyncio.sleep(0.05)
        writer.write(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), PATIENCE)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in answer


async def test_requests_on_one_connection_are_answered_in_their_order(repository):
    async with http_server(repository) as server, raw_connection(server.http_address) as (reader, writer):
        writer.write(head(Content_Length=len(TEXT)) + TEXT + b"GET /v2/health/live HTTP/1.1\r\nhost: here\r\n\r\n")
        first = await reader.readuntil(b"\r\n\r\n")
        length = int(first.partition(b"content-length: ")[2].split()[0])
        assert b"explanations" in await reader.readexactly(length)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(len('{"live": true}')) == b'{"live": true}'


async def test_a_stop_finishes_what_runs_and_refuses_what_comes(repository, loader):
    async with http_server(repository, loader, workers=1, grace=PATIENCE) as server, client_of(server) as client:
        running = await busy(server, loader, client)
        stopping = asyncio.create_task(server.stop())
        await until(lambda: not server.parts.gate.is_open)
        refused = await client.post(EXPLAIN, content=TEXT)
        ready, live = [await client.get(f"/v2/health/{what}") for what in ("ready", "live")]
        loader.loaded.release.set()
        assert (await running).status_code == 200
        assert await stopping
        with pytest.raises(httpx.ConnectError):
            await client.get("/")
    assert (refused.status_code, refused.json()["reason"]) == (503, "UNAVAILABLE")
    assert refused.headers["connection"] == "close"
    assert (ready.status_code, live.status_code) == (503, 200)


async def test_a_stop_whose_grace_is_over_cuts_off_what_runs(repository, loader):
    async with http_server(repository, loader, workers=1, grace=0.2) as server, client_of(server) as client:
        running = await busy(server, loader, client)
        drained = await server.stop()
        with pytest.raises(httpx.TransportError):
            await running
        with pytest.raises(httpx.ConnectError):
            await client.get("/")
        loader.loaded.release.set()
    assert not drained


async def test_sigterm_drains_http_as_it_does_grpc(repository: Path):
    slow = json.dumps(body(instance(blank_png(2500, 2000)), outputs=["overlay-png", "heatmap-png"])).encode()
    with server_process(repository, "--http", "127.0.0.1:0", "--workers", "1") as process:
        address = f"http://{process.http_address}"
        async with httpx.AsyncClient(base_url=address, timeout=PATIENCE, trust_env=False) as client:
            calls = [asyncio.create_task(client.post(EXPLAIN, content=slow)) for _ in range(4)]
            while "running" not in (await client.get("/metrics")).text or not await waiting(client):
                await asyncio.sleep(0.02)
            process.signal(signal.SIGTERM)
            answers = await asyncio.gather(*calls)
        code, log = await asyncio.to_thread(process.wait)
    assert [answer.status_code for answer in answers] == [200] * 4
    assert code == 0, log
    assert "Traceback" not in log


async def waiting(client: httpx.AsyncClient) -> bool:
    """Whether all four calls have come."""
    text = (await client.get("/metrics")).text
    jobs = [line for line in text.splitlines() if line.startswith("camgraph_jobs{")]
    return sum(float(line.rpartition(" ")[2]) for line in jobs) >= 4


async def test_connections_that_come_together_are_taken_a_few_at_a_time(repository, monkeypatch):
    """Otherwise hundreds of callers that leave at once are worked on in one pass of the event loop, and gRPC waits."""
    made: list[connection.Connection] = []
    take = connection.Connection.connection_made

    def taken(self, transport) -> None:
        made.append(self)
        take(self, transport)

    monkeypatch.setattr(connection.Connection, "connection_made", taken)
    async with http_server(repository) as server:
        host, _, number = server.http_address.rpartition(":")
        callers = [socket.create_connection((host, int(number)), PATIENCE) for _ in range(40)]
        in_one_pass = []
        while sum(in_one_pass) < len(callers):
            before = len(made)
            await asyncio.sleep(0)  # one pass
            in_one_pass.append(len(made) - before)
        for caller in callers:
            caller.close()
    assert max(in_one_pass) <= port._ACCEPTED_AT_ONCE
