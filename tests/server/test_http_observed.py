"""What is told of calls over HTTP: the audit log, traces and Triton's load generator, as of those of gRPC."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from camgraph_server.assembly import Assembly
from camgraph_server.observe.traces import Traces
from support.load_tools import environment_of
from support.peers import Peer
from support.rest import EXPLAIN, b64, body, client_of, http_server, instance
from support.serving import PATIENCE, png, run_camgraph, server_process


async def test_each_image_is_in_the_audit_log_and_can_be_repeated(repository, tmp_path):
    path = tmp_path / "audit.jsonl"
    async with http_server(repository, audit_log=path) as server, client_of(server) as client:
        pictures = [instance(png(seed=number), target_rank=[2]) for number in range(2)]
        assert (await client.post(EXPLAIN, json=body(*pictures, outputs=["heatmap"]))).status_code == 200
        image = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [b64(png())]}
        coded = {"inputs": [image | {"parameters": {"content_type": "base64"}}]}
        assert (await client.post("/v2/models/tiny/infer", json=coded)).status_code == 200
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert len(lines) == 3
    (tmp_path / "image.png").write_bytes(png(seed=1))
    [second] = [line for line in lines if line["input"]["image_sha256"] == hashlib.sha256(png(seed=1)).hexdigest()]
    graph = str(repository / "tiny" / "1" / "model.onnx")
    about = ("--graph", graph, "--image", str(tmp_path / "image.png"))
    repeated = run_camgraph("repeat", str(path), second["id"], *about)
    assert (repeated.returncode, repeated.stdout) == (0, "The result is the same, bit for bit.\n"), repeated.stderr


async def test_a_call_is_a_span_of_its_callers_trace(repository, monkeypatch):
    spans = InMemorySpanExporter()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(Assembly, "_observers", lambda _: [Traces(tracers, MeterProvider())])
    trace = "0123456789abcdef0123456789abcdef"
    headers = {"traceparent": f"00-{trace}-0123456789abcdef-01"}
    async with http_server(repository) as server, client_of(server) as client:
        await client.post(EXPLAIN, json=body(), headers=headers)
        await client.get("/nothing", headers=headers)
    found = {span.name: span for span in spans.get_finished_spans()}
    call = found["http.v1/Explain"]
    assert format(call.context.trace_id, "032x") == trace
    assert call.attributes["rpc.system.name"] == "http"
    assert call.attributes["rpc.response.status_code"] == "OK"
    assert found.keys() >= {"receive", "decode", "queue", "prepare", "infer", "post", "encode", "write", "_OTHER"}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("tensors", ["binary", "json"])
def test_perf_analyzer_drives_the_tensor_model(tensors, repository: Path, tmp_path: Path, peer: Callable[[str], Peer]):
    environment = environment_of("perf_analyzer", peer, tmp_path)
    with server_process(repository, "--http", "127.0.0.1:0") as server:
        command = ["perf_analyzer", "-m", "tiny.tensors", "-u", server.http_address, "-i", "http"]
        command += ["--shape", "image:1,3,16,16", "--shape", "target:1,1", "--input-data", "zero"]
        command += ["--request-count", "50", "--input-tensor-format", tensors, "--output-tensor-format", tensors]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=3 * PATIENCE, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Successful request count: 50" in done.stdout
