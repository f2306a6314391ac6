"""Spans and durations of calls, under the stable names of OpenTelemetry's conventions for RPC."""

from __future__ import annotations

import asyncio
import gzip
import signal
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import SpanKind, StatusCode

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_core.errors import UsageError
from camgraph_server.assembly import Assembly
from camgraph_server.call import STAGES
from camgraph_server.config import ServerConfig
from camgraph_server.observe.call_log import CallLog
from camgraph_server.observe.traces import Traces
from support.serving import PATIENCE, png, run_camgraph, running_server, server_process

EXPLAIN = "camgraph.v1.ExplanationService/Explain"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def caller(sampled: bool = True) -> tuple[tuple[str, str], ...]:
    return (("traceparent", f"00-{TRACE}-{SPAN}-0{int(sampled)}"),)


def request(**fields: Any) -> pb.ExplainRequest:
    return pb.ExplainRequest(image=pb.EncodedImage(data=png()), **fields)


class Told:
    """What OpenTelemetry was told."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracers = TracerProvider(ParentBasedTraceIdRatio(1.0))
        tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.traces = Traces(tracers, MeterProvider([self.reader]))

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}

    @property
    def durations(self) -> Any:
        data = self.reader.get_metrics_data()
        assert data is not None
        [metric] = data.resource_metrics[0].scope_metrics[0].metrics
        return metric


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    told = Told()
    monkeypatch.setattr(Assembly, "_observers", lambda _: [told.traces, CallLog()])
    return told


async def test_a_call_is_a_span_of_its_callers_trace_with_a_span_for_each_stage(told, connect, repository, caplog):
    async with running_server(repository) as server:
        stub = ExplanationServiceStub(connect(server.address))
        caplog.set_level("INFO")
        await stub.Explain(request(), metadata=caller(), timeout=PATIENCE)
        while server.parts.observers.live:
            await asyncio.sleep(0.01)
        durations, spans = told.durations, told.spans
    span = spans.pop(EXPLAIN)
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, SPAN)
    assert (span.kind, span.status.status_code) == (SpanKind.SERVER, StatusCode.UNSET)
    conventions = {"rpc.system.name": "grpc", "rpc.method": EXPLAIN, "rpc.response.status_code": "OK"}
    assert conventions.items() <= span.attributes.items()
    assert span.attributes["camgraph.model"] == "tiny"
    assert tuple(spans) == STAGES
    assert {stage.parent.span_id for stage in spans.values()} == {span.context.span_id}
    assert all(before.end_time == after.start_time for before, after in pairwise(spans.values()))
    assert span.start_time <= spans["receive"].start_time
    assert spans["write"].end_time == span.end_time
    assert (durations.name, durations.unit) == ("rpc.server.call.duration", "s")
    [point] = durations.data.data_points
    assert dict(point.attributes) == conventions
    assert point.sum == pytest.approx((span.end_time - span.start_time) / 1e9, abs=1e-6)
    assert [record.camgraph_facts["trace_id"] for record in caplog.records if record.message == "call"] == [TRACE]


async def test_a_call_that_its_caller_does_not_trace_is_only_measured(told, connect, repository):
    async with running_server(repository) as server:
        stub = ExplanationServiceStub(connect(server.address))
        await stub.Explain(request(), metadata=caller(sampled=False), timeout=PATIENCE)
        while server.parts.observers.live:
            await asyncio.sleep(0.01)
    assert told.spans == {}
    assert [point.count for point in told.durations.data.data_points] == [1]


@pytest.mark.parametrize(
    ("method", "name", "status", "is_error"),
    [
        (f"/{EXPLAIN}", EXPLAIN, "INVALID_ARGUMENT", False),
        ("/an.invented/Method", "_OTHER", "UNIMPLEMENTED", True),
    ],
)
async def test_calls_that_fail(told, connect, repository, method, name, status, is_error):
    async with running_server(repository) as server:
        with pytest.raises(grpc.RpcError):
            await connect(server.address).unary_unary(method)(b"\xff", timeout=PATIENCE)
    span = told.spans[name]
    assert span.parent is None
    assert span.attributes["rpc.response.status_code"] == status
    assert (span.status.status_code is StatusCode.ERROR) is is_error
    assert span.attributes.get("error.type") == (status if is_error else None)


async def test_of_a_stream_each_request_has_a_span(told, connect, repository):
    asked = [pb.ExplainStreamRequest(id=name, request=request()) for name in ("a", "b")]
    async with running_server(repository) as server:
        stub = ExplanationServiceStub(connect(server.address))
        assert len([answer async for answer in stub.ExplainStream(iter(asked), timeout=PATIENCE)]) == 2
    spans = told.exporter.get_finished_spans()
    assert [span.attributes["camgraph.item"] for span in spans if span.name.endswith("ExplainStream item")] == [
        "a",
        "b",
    ]
    assert [span.kind for span in spans if span.name.endswith("ExplainStream")] == [SpanKind.SERVER]


class Collector(HTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), CollectorHandler)
        self.got: dict[str, Any] = {
            "/v1/traces": ExportTraceServiceRequest(),
            "/v1/metrics": ExportMetricsServiceRequest(),
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class CollectorHandler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        self.server.got[self.path].MergeFromString(body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing to say."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


async def test_a_collector_gets_what_was_traced_before_the_server_stopped(collector, connect, repository):
    with server_process(repository, "--traces", collector.url) as process:
        await ExplanationServiceStub(connect(process.address)).Explain(request(), metadata=caller(), timeout=PATIENCE)
        process.signal(signal.SIGTERM)
        code, log = await asyncio.to_thread(process.wait)
    assert code == 0, log
    [resource] = collector.got["/v1/traces"].resource_spans
    names = {span.name for span in resource.scope_spans[0].spans}
    assert names == {EXPLAIN, *STAGES}
    assert {item.key: item.value.string_value for item in resource.resource.attributes}["service.name"] == "camgraph"
    [metrics] = collector.got["/v1/metrics"].resource_metrics
    assert [metric.name for metric in metrics.scope_metrics[0].metrics] == ["rpc.server.call.duration"]


def test_without_the_extra_it_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "camgraph_server.observe.traces")
    for name in [name for name in sys.modules if name.startswith("opentelemetry.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(UsageError, match=r"camgraph\[trace\]"):
        Assembly(ServerConfig(tmp_path, traces="http://localhost:4318"))


@pytest.mark.parametrize("options", [("--traces", "localhost:4318"), ("--trace-share", "2")])
def test_settings_that_cannot_be(repository, options):
    result = run_camgraph("serve", "--model-repository", str(repository), *options)
    assert result.returncode == 2
    assert options[1] in result.stderr
