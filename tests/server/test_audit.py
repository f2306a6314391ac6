"""The audit log: a line for each request, from which it can be repeated to the same bits."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_core.request import Addressed, Request
from camgraph_core.target import Target
from camgraph_runtime import Explainer, build_bank
from camgraph_server.audit.file import AuditFile
from camgraph_server.errors import AuditError
from camgraph_wire.requests import request_message
from support.serving import PATIENCE, png, run_camgraph, running_server
from support.tiny_graph import TinyGraph

PICTURE = png(40, 30)
TENSOR = np.random.default_rng(0).standard_normal((1, 3, 16, 16)).astype(np.float32)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


REQUESTS = {
    "default": Addressed(request=Request(), image=PICTURE),
    "two targets": Addressed(
        request=Request(
            targets=[Target.of_rank(1, contrast=Target.of_rank(2)), Target.of_rank(2, negative=True)],
            outputs=["raw-map", "overlay-png", "heatmap", "weights"],
            num_predictions=2,
        ),
        image=PICTURE,
    ),
    "tensor": Addressed(request=Request(top_k=2, profile="raw", outputs=["raw-map"]), tensor=TENSOR),
}


@pytest.fixture
def audited(connect, repository, tmp_path):
    """Sends a request to a server, and gives the lines of its audit log."""

    async def send(*messages: pb.ExplainRequest) -> list[dict[str, Any]]:
        path = tmp_path / "audit.jsonl"
        async with running_server(repository, audit_log=path) as server:
            stub = ExplanationServiceStub(connect(server.address))
            for message in messages:
                try:
                    await stub.Explain(message, timeout=PATIENCE)
                except grpc.RpcError:
                    continue
            await stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE)
        return lines(path)

    return send


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_is_repeated_from_its_line_bit_for_bit(name, audited, repository, tmp_path):
    addressed = REQUESTS[name]
    message = request_message(addressed)
    message.request_id = "mine"
    [entry] = await audited(message)
    assert (entry["status"], entry["model"], entry["version"], entry["request_id"]) == ("OK", "tiny", "1", "mine")
    assert len(entry["explanations"]) == (addressed.request.top_k or len(addressed.request.targets) or 1)
    assert {"positive_share", "minimum"} <= entry["explanations"][0]["statistics"].keys()
    if addressed.image is not None:
        (tmp_path / "image.png").write_bytes(addressed.image)
        about = ("--image", str(tmp_path / "image.png"))
    else:
        np.save(tmp_path / "tensor.npy", TENSOR)
        about = ("--tensor", str(tmp_path / "tensor.npy"))
    graph = str(repository / "tiny" / "1" / "model.onnx")
    for identifier in ("mine", entry["id"]):
        result = run_camgraph("repeat", str(tmp_path / "audit.jsonl"), identifier, "--graph", graph, *about)
        assert (result.returncode, result.stdout) == (0, "The result is the same, bit for bit.\n"), result.stderr


async def test_distances_to_a_bank_are_repeated_with_the_bank_that_answered(audited, repository, tmp_path):
    graph, image = repository / "tiny" / "1" / "model.onnx", tmp_path / "image.png"
    image.write_bytes(PICTURE)

    def put_bank(patches: int) -> None:
        with Explainer(graph) as explainer:
            bank = build_bank(explainer, [png(seed=seed) for seed in range(3)], patches=patches)
        bank.save(graph.with_name("bank.npz"))

    def repeated(identifier: str) -> str:
        arguments = ("repeat", str(tmp_path / "audit.jsonl"), identifier, "--graph", str(graph), "--image", str(image))
        result = run_camgraph(*arguments)
        return result.stdout + result.stderr

    put_bank(20)
    with_bank = Request(outputs=["heatmap", "weights"], bank=True)
    entries = await audited(
        request_message(Addressed(request=with_bank, image=PICTURE)), request_message(REQUESTS["default"])
    )
    assert [len(entry["explanations"]) for entry in entries] == [2, 1]
    assert entries[0]["explanations"][1]["outputs"].keys() == {"heatmap"}
    assert [repeated(entry["id"]) for entry in entries] == ["The result is the same, bit for bit.\n"] * 2
    put_bank(10)
    assert "answered by another graph" in repeated(entries[0]["id"])
    assert "bit for bit" in repeated(entries[1]["id"])


async def test_what_is_not_as_it_was_is_told(audited, repository, tmp_path):
    [entry] = await audited(request_message(REQUESTS["default"]))
    graph = repository / "tiny" / "1" / "model.onnx"
    log, image = tmp_path / "audit.jsonl", tmp_path / "image.png"
    image.write_bytes(PICTURE)

    def repeated(identifier: str = entry["id"], graph: Path = graph) -> str:
        arguments = ("repeat", str(log), identifier, "--graph", str(graph), "--image", str(image))
        result = run_camgraph(*arguments)
        assert result.returncode in {1, 2}
        return result.stderr

    assert "has no line with the id 'other'" in repeated("other")
    log.write_bytes(b"{damaged \xff\n" + json.dumps(entry | {"predictions": []}).encode() + b"\n")
    assert "predictions in place of 0" in repeated()
    output = {"heatmap": "0" * 64}
    changed = entry["explanations"][0] | {"outputs": output}
    log.write_text(json.dumps(entry | {"explanations": [changed]}) + "\n")
    assert "explanation 1: outputs" in repeated()
    log.write_text(json.dumps(entry) + "\n")
    other = tmp_path / "other.onnx"
    other.write_bytes(TinyGraph(labels=("cat", "dog", "bird", "fish", "mule")).serialize())
    assert "another graph" in repeated(graph=other)
    image.write_bytes(png(seed=1))
    assert "another image" in repeated()


async def test_every_request_has_a_line_whatever_its_end(audited, tmp_path):
    odd = request_message(Addressed(request=Request(), image=b"no picture"))
    unknown = request_message(Addressed(request=Request(), image=PICTURE, model="unknown"))
    entries = await audited(odd, unknown, request_message(REQUESTS["default"]))
    assert [entry["status"] for entry in entries] == ["INVALID_ARGUMENT", "NOT_FOUND", "OK"]
    assert [entry["reason"] is None for entry in entries] == [False, False, True]
    assert ["request" in entry for entry in entries] == [False, False, True]
    result = run_camgraph(
        *("repeat", str(tmp_path / "audit.jsonl"), entries[0]["id"], "--graph", __file__, "--image", __file__)
    )
    assert result.returncode == 1


def test_a_file_that_was_moved_away_is_followed_by_a_new_one(tmp_path):
    path = tmp_path / "audit.jsonl"
    path.write_text('{"number": 0}\n')
    file = AuditFile(path)
    file.add(b'{"number": 1}')
    while len(lines(path)) < 2:
        time.sleep(0.01)
    path.rename(tmp_path / "old.jsonl")
    file.add(b'{"number": 2}')
    file.close()
    assert [line["number"] for line in lines(tmp_path / "old.jsonl")] == [0, 1]
    assert [line["number"] for line in lines(path)] == [2]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert file.lost == 0


def test_a_disk_that_is_full_for_a_while_costs_lines_and_damages_no_other(tmp_path, monkeypatch, caplog):
    room = threading.Semaphore(3)
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if data.lstrip(b"\n").startswith(b'{"number"') and not room.acquire(blocking=False):
            return write(descriptor, data[:5])
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    path = tmp_path / "audit.jsonl"
    file = AuditFile(path)
    for number in range(10):
        file.add(b'{"number": %d}' % number)
    while file.lost < 7:
        time.sleep(0.01)
    room.release()
    file.add(b'{"number": 10}')
    file.close()
    good = [json.loads(line)["number"] for line in path.read_text().splitlines() if line.endswith("}")]
    assert good == [0, 1, 2, 10]
    assert [record.message for record in caplog.records] == [
        "audit log cannot be written",
        "audit log is written again",
    ]


def test_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(AuditError, match="--audit-log"):
        AuditFile(tmp_path / "missing" / "audit.jsonl")


def test_a_pipe_is_written_to_while_somebody_reads_it_and_holds_up_nobody(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(AuditError, match="cannot be written"):
        AuditFile(path)
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
        file = AuditFile(path)
        for number in range(100):
            file.add(b'{"number": %d, "long": "%b"}' % (number, b"x" * 4000))
        file.close()
        assert file.lost > 0
        assert json.loads(reader.readline())["number"] == 0


def test_what_waits_is_bounded(tmp_path, monkeypatch):
    gate = threading.Event()
    write = os.write
    monkeypatch.setattr(os, "write", lambda *arguments: gate.wait(PATIENCE) and write(*arguments))
    file = AuditFile(tmp_path / "audit.jsonl")
    for _ in range(100):
        file.add(b"x" * 1024 * 1024)
    assert file.lost >= 36
    gate.set()
    file.close()
    assert len((tmp_path / "audit.jsonl").read_text().splitlines()) == 100 - file.lost


async def test_lost_lines_are_a_metric(repository, tmp_path):
    async with running_server(repository, audit_log=tmp_path / "a", metrics="127.0.0.1:0") as server:
        registry = next(each.registry for each in server.parts.observers if hasattr(each, "registry"))
        assert registry.get_sample_value("camgraph_audit_lines_lost_total") == 0
