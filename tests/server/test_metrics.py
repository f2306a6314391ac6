"""Metrics: what they count, whose names become labels, and a port that answers whatever the event loop does."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import grpc
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_core.errors import UsageError
from camgraph_core.statistics import MapStatistics
from camgraph_server.budget import Budget, Share
from camgraph_server.call import STAGES, Call
from camgraph_server.config import ServerConfig
from camgraph_server.errors import BindError
from camgraph_server.lifecycle import Server
from camgraph_server.observe.inference import reason_of
from camgraph_server.observe.metrics import port
from camgraph_server.observe.metrics.calls import go_name
from camgraph_server.observe.metrics.drift import KINDS, Drift, kind_of
from camgraph_server.observe.metrics.port import MetricsPort
from support.serving import PATIENCE, GatedLoader, png, running_server, write_model

MODEL = {"model": "tiny", "version": "1"}
METHOD = {"grpc_type": "unary", "grpc_service": "camgraph.v1.ExplanationService", "grpc_method": "Explain"}


def metrics_port(server: Server) -> MetricsPort:
    [found] = [each for each in server.parts.observers if isinstance(each, MetricsPort)]
    return found


def page(server: Server, path: str = "/metrics", **headers: str) -> str:
    request = Request(f"http://{metrics_port(server).address}{path}", headers=headers)
    with urlopen(request, timeout=PATIENCE) as answer:
        return answer.read().decode()


class Numbers:
    """The numbers of a page: by name and labels."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def __call__(self, name: str, **labels: str) -> float:
        found = [item for item in self._samples if item.name == name and labels.items() <= item.labels.items()]
        return math.fsum(item.value for item in found)

    @property
    def models(self) -> set[tuple[str, str]]:
        return {(item.labels["model"], item.labels["version"]) for item in self._samples if "model" in item.labels}


async def numbers(server: Server) -> Numbers:
    while server.parts.observers.live:
        await asyncio.sleep(0.01)
    return Numbers(await asyncio.to_thread(page, server))


@contextlib.asynccontextmanager
async def measured(repository: Path, *arguments: Any, **settings: Any) -> AsyncIterator[Server]:
    async with running_server(repository, *arguments, metrics="127.0.0.1:0", **settings) as server:
        yield server


def request(**fields: Any) -> pb.ExplainRequest:
    return pb.ExplainRequest(image=pb.EncodedImage(data=png()), **fields)


async def test_a_call_is_counted_under_every_name(connect, repository):
    async with measured(repository) as server:
        stub = ExplanationServiceStub(connect(server.address))
        for top_k in (1, 3):
            await stub.Explain(request(top_k=top_k), timeout=PATIENCE)
        with pytest.raises(grpc.RpcError):
            await stub.Explain(request(method="none such"), timeout=PATIENCE)
        await stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE)
        n = await numbers(server)
    assert n("grpc_server_started_total", **METHOD) == 3
    assert n("grpc_server_handled_total", **METHOD, grpc_code="OK") == 2
    assert n("grpc_server_handled_total", **METHOD, grpc_code="InvalidArgument") == 1
    assert n("grpc_server_handled_total", grpc_method="ListModels") == 1
    assert n("grpc_server_handling_seconds_count", **METHOD) == n("grpc_server_msg_received_total", **METHOD) == 3
    assert n("grpc_server_msg_sent_total", **METHOD) == 2
    assert n("nv_inference_request_success", **MODEL) == n("nv_inference_count", **MODEL) == 2
    assert n("nv_inference_exec_count", **MODEL) == 2
    assert n("nv_inference_request_failure", **MODEL, reason="OTHER") == 1
    assert n("camgraph_maps_total", **MODEL) == n("camgraph_map_positive_share_count", **MODEL) == 4
    assert {n("camgraph_stage_seconds_count", stage=stage) for stage in ("infer", "post")} == {2}
    parts = ("queue", "compute_input", "compute_infer", "compute_output")
    durations = [n(f"nv_inference_{part}_duration_us", **MODEL) for part in parts]
    assert 0 < math.fsum(durations) < n("nv_inference_request_duration_us", **MODEL) < PATIENCE * 1e6
    assert min(durations) > 0
    assert n("camgraph_stage_seconds_sum", stage="prepare") * 1e6 >= durations[1]


async def test_of_a_stream_the_call_and_each_request_are_counted(connect, repository):
    odd = request(targets=[pb.Target(class_index=99)])
    items = [pb.ExplainStreamRequest(id=str(number), request=odd if number == 1 else request()) for number in range(3)]
    async with measured(repository) as server:
        stub = ExplanationServiceStub(connect(server.address))
        assert len([answer async for answer in stub.ExplainStream(iter(items), timeout=PATIENCE)]) == 3
        n = await numbers(server)
    stream = {"grpc_method": "ExplainStream", "grpc_type": "bidi_stream"}
    assert n("grpc_server_started_total") == n("grpc_server_handled_total", **stream, grpc_code="OK") == 1
    assert n("grpc_server_msg_received_total", **stream) == n("grpc_server_msg_sent_total", **stream) == 3
    assert n("nv_inference_request_success", **MODEL) == n("camgraph_maps_total", **MODEL) == 2
    assert n("nv_inference_request_failure", **MODEL, reason="OTHER") == 1
    assert n("camgraph_stage_seconds_count", stage="infer") == 2


async def test_what_the_server_holds_now(connect, repository):
    write_model(repository, "broken").write_bytes(b"no graph")
    loader = GatedLoader()
    async with measured(repository, loader, workers=1) as server:
        stub = ExplanationServiceStub(connect(server.address))
        wanted = request(model_name="tiny")
        calls = [asyncio.ensure_future(stub.Explain(wanted, timeout=PATIENCE)) for _ in range(3)]
        await asyncio.to_thread(loader.loaded.wait_entered)
        while server.parts.scheduler.admitted < 3:
            await asyncio.sleep(0.01)
        busy = Numbers(await asyncio.to_thread(page, server))
        loader.loaded.release.set()
        await asyncio.gather(*calls)
        idle = await numbers(server)
    assert (busy("camgraph_jobs", state="running"), busy("camgraph_jobs", state="waiting")) == (1, 2)
    assert (busy("camgraph_calls", stage="infer"), busy("camgraph_calls", stage="queue")) == (1, 2)
    assert busy("nv_inference_pending_request_count", **MODEL) == 2
    assert busy("camgraph_memory_held_bytes", budget="requests") >= 3 * len(png())
    assert busy("camgraph_memory_held_bytes", budget="images") > 0
    assert idle("camgraph_memory_held_bytes") == idle("camgraph_jobs") == idle("camgraph_calls") == 0
    assert idle("camgraph_memory_limit_bytes", budget="images") == server.parts.budgets["images"].size
    states = {("tiny", "ready"): 1, ("tiny", "failed"): 0, ("broken", "failed"): 1, ("broken", "ready"): 0}
    assert {key: idle("camgraph_model_state", model=key[0], state=key[1]) for key in states} == states
    assert idle("process_resident_memory_bytes") > 1e6


async def test_a_name_that_a_caller_invents_is_no_label(connect, repository):
    async with measured(repository) as server:
        channel = connect(server.address)
        stub = ExplanationServiceStub(channel)
        for number in range(5):
            with pytest.raises(grpc.RpcError):
                await stub.Explain(request(model_name=f"invented{number}"), timeout=PATIENCE)
            with pytest.raises(grpc.RpcError):
                await stub.Explain(request(model_name="tiny", model_version=f"9{number}"), timeout=PATIENCE)
            with pytest.raises(grpc.RpcError):
                await channel.unary_unary(f"/invented{number}/Method{number}")(b"", timeout=PATIENCE)
        n = await numbers(server)
    assert n("grpc_server_started_total", grpc_service="unknown", grpc_method="unknown") == 5
    assert n("grpc_server_started_total") == 15
    assert "invented" not in n.text
    assert n.models == {("tiny", "1"), ("", "")}
    assert n("nv_inference_request_failure", model="", version="", reason="OTHER") == 10


async def test_the_port_answers_while_the_event_loop_is_blocked(monkeypatch, repository):
    monkeypatch.setattr(port, "_DEAD", 0.5)
    async with measured(repository) as server:
        pages: asyncio.Future[tuple[Numbers, int]] = asyncio.ensure_future(asyncio.to_thread(_while_blocked, server))
        await asyncio.sleep(0.3)
        time.sleep(2.5)  # on the loop
        blocked, status = await pages
        await asyncio.sleep(0.5)
        assert await asyncio.to_thread(page, server, "/healthz") == "ok\n"
        n = await numbers(server)
    assert 0.5 < blocked("camgraph_event_loop_stall_seconds") < 3
    assert status == 503
    assert n("camgraph_event_loop_lag_seconds_count") > n("camgraph_event_loop_lag_seconds_bucket", le="1.0") > 0


def _while_blocked(server: Server) -> tuple[Numbers, int]:
    time.sleep(2.0)
    text = page(server)
    try:
        page(server, "/healthz")
    except HTTPError as error:
        error.close()
        return Numbers(text), error.code
    return Numbers(text), 200


async def test_who_holds_connections_open_keeps_nobody_out(monkeypatch, repository):
    monkeypatch.setattr(port._Handler, "timeout", 10 * PATIENCE)  # it is not their silence that closes them
    async with measured(repository) as server:
        host, _, number = metrics_port(server).address.rpartition(":")
        held = [socket.create_connection((host, int(number)), timeout=PATIENCE) for _ in range(50)]
        assert "camgraph_jobs" in await asyncio.to_thread(page, server)
        assert held[0].recv(1) == b""
        for each in held:
            each.close()


async def test_both_formats_and_other_pages(repository):
    async with measured(repository) as server:
        text = await asyncio.to_thread(page, server, Accept="application/openmetrics-text; version=1.0.0")
        assert {family.name for family in openmetrics(text)} >= {"grpc_server_handled", "nv_inference_count"}
        with pytest.raises(HTTPError, match="404") as caught:
            await asyncio.to_thread(page, server, "/etc/passwd")
        caught.value.close()


async def test_the_event_loop_goes_on_while_the_port_closes(monkeypatch):
    """The end of its thread waits here for what only the event loop can do."""
    opened, turned = MetricsPort("127.0.0.1:0", CollectorRegistry(), lambda: 0.0), threading.Event()
    await opened.start()
    shutdown, waited = port._Server.shutdown, []

    def slow(server: Any) -> None:
        waited.append(turned.wait(PATIENCE))
        shutdown(server)

    monkeypatch.setattr(port._Server, "shutdown", slow)
    asyncio.get_running_loop().call_later(0.01, turned.set)
    await opened.stop()
    assert waited == [True]
    with pytest.raises(URLError):
        await asyncio.to_thread(urlopen, f"http://{opened.address}/healthz", timeout=PATIENCE)


async def test_an_address_that_is_taken_is_told(repository):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(BindError, match=f"Cannot serve metrics on {address}"):
            async with running_server(repository, metrics=address):
                raise AssertionError("it started")


@pytest.mark.parametrize("address", ["unix:/run/metrics", "localhost", "localhost:70000"])
def test_an_address_that_cannot_be_one(tmp_path, address):
    with pytest.raises(UsageError, match=address):
        ServerConfig(tmp_path, metrics=address)


@pytest.mark.parametrize(
    ("status", "name", "reason"),
    [
        ("CANCELLED", "Canceled", "CANCELED"),
        ("UNAVAILABLE", "Unavailable", "REJECTED"),
        ("RESOURCE_EXHAUSTED", "ResourceExhausted", "REJECTED"),
        ("DEADLINE_EXCEEDED", "DeadlineExceeded", "REJECTED"),
        ("INTERNAL", "Internal", "BACKEND"),
        ("INVALID_ARGUMENT", "InvalidArgument", "OTHER"),
        ("NOT_FOUND", "NotFound", "OTHER"),
    ],
)
def test_names_of_codes_and_reasons(status, name, reason):
    call = Call("service", "Explain", "peer", "caller", None, Share(Budget(1)))
    call.status = status
    assert (go_name(status), reason_of(call)) == (name, reason)


def test_kinds_of_maps():
    flags = [
        {},
        {"all_nonpositive": True},
        {"constant": True},
        {"nonfinite": True},
    ]
    none = {"all_nonpositive": False, "constant": False, "nonfinite": False}
    assert tuple(kind_of(MapStatistics(0, 0, 0, 0, **none | flag)) for flag in flags) == KINDS
    assert kind_of(MapStatistics(0, 0, 0, 0, all_nonpositive=True, constant=True, nonfinite=False)) == "empty"
    assert kind_of(MapStatistics(0, 0, 0, 0, all_nonpositive=True, constant=True, nonfinite=True)) == "nonfinite"
    assert set(STAGES) >= {"queue", "infer"}


def test_the_counts_of_each_model_begin_at_zero():
    registry = CollectorRegistry()
    Drift(registry, lambda: [("tiny", "1", "ready")])
    for kind in KINDS:
        labels = {"model": "tiny", "version": "1", "kind": kind}
        assert registry.get_sample_value("camgraph_maps_total", labels) == 0
