"""Work that does not end: its caller is told, its worker is free again, and its model is the only one that fails."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path

import grpc
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_runtime import Explainer
from camgraph_server.models.model import ModelState
from support.serving import PATIENCE, png, running_server, server_process, write_model
from support.tiny_graph import TinyGraph
from support.workers import is_alive, until, workers_of

HANGS = """
import os, sys, time
if sys.argv == ["-c"]:  # a worker's process alone
    from camgraph_runtime.explainer import Explainer
    step = os.environ["HANG_IN"]
    goes_on = getattr(Explainer, step)
    def hangs(*arguments):
        while os.path.exists(os.environ["HANG_WHILE_THERE_IS"]):
            time.sleep(0.05)
        return goes_on(*arguments)
    setattr(Explainer, step, hangs)
"""


class Endless(TinyGraph):
    """Its graph adds nothing to the scores, for ever."""

    def model(self) -> onnx.ModelProto:
        model = super().model()
        for node in model.graph.node:
            if node.op_type == "Gemm":
                node.output[0] = "first_scores"
                place = list(model.graph.node).index(node)
        body = helper.make_graph(
            [
                helper.make_node("Identity", ["go_on"], ["goes_on"]),
                helper.make_node("Abs", ["value"], ["next_value"]),
            ],
            "body",
            [
                helper.make_tensor_value_info("step", onnx.TensorProto.INT64, []),
                helper.make_tensor_value_info("go_on", onnx.TensorProto.BOOL, []),
                helper.make_tensor_value_info("value", onnx.TensorProto.FLOAT, None),
            ],
            [
                helper.make_tensor_value_info("goes_on", onnx.TensorProto.BOOL, []),
                helper.make_tensor_value_info("next_value", onnx.TensorProto.FLOAT, None),
            ],
        )
        steps = numpy_helper.from_array(np.array(2**62, np.int64), "steps")
        model.graph.initializer.append(steps)
        loop = helper.make_node("Loop", ["steps", "", "first_scores"], ["scores"], body=body)
        model.graph.node.insert(place + 1, loop)
        return model


class Stuck(Explainer):
    """Hangs in one of its steps, as code does that nobody can interrupt."""

    step = "infer"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.is_free = threading.Event()

    def prepare(self, *arguments):
        return self._hang("prepare", *arguments)

    def infer(self, *arguments):
        return self._hang("infer", *arguments)

    def _hang(self, step, *arguments):
        if self.step == step and "stuck" in self.engine.name:
            assert self.is_free.wait(PATIENCE)
        return getattr(super(), step)(*arguments)


class StuckInPrepare(Stuck):
    step = "prepare"


def request(model: str = "") -> pb.ExplainRequest:
    return pb.ExplainRequest(model_name=model, image=pb.EncodedImage(data=png()))


@pytest.fixture
def two_models(tmp_path: Path) -> Path:
    (tmp_path / "stuck.onnx").write_bytes(TinyGraph().serialize())
    (tmp_path / "well.onnx").write_bytes(TinyGraph().serialize())
    return tmp_path


@pytest.mark.parametrize(("timeout", "text"), [(PATIENCE, "limit of this server"), (0.5, "")])
async def test_a_graph_without_end_is_ended(timeout, text, tmp_path, connect):
    write_model(tmp_path, "endless", graph=Endless())
    async with running_server(tmp_path, Explainer, workers=1, run_timeout=0.5 if text else PATIENCE) as server:
        stub = ExplanationServiceStub(connect(server.address))
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Explain(request(), timeout=timeout)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert text in caught.value.details()
        await until(lambda: server.parts.scheduler.jobs["running"] == 0)
        assert server.parts.repository.find("endless").state is ModelState.READY


async def test_a_run_that_cannot_be_ended_costs_its_model_alone(two_models, connect, caplog):
    async with running_server(two_models, Stuck, workers=1, hang_timeout=0.2) as server:
        repository, stub = server.parts.repository, ExplanationServiceStub(connect(server.address))
        stuck = repository.find("stuck").explainer
        with pytest.raises(grpc.RpcError):
            await stub.Explain(request("stuck"), timeout=0.3)
        await until(lambda: repository.find("stuck").state is ModelState.FAILED)
        assert (await stub.Explain(request("well"), timeout=PATIENCE)).predictions
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Explain(request("stuck"), timeout=PATIENCE)
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "did not end" in caught.value.details()
        stuck.is_free.set()
        Stuck.step = "nothing"
        try:
            server.reload()
            await until(lambda: repository.find("stuck").state is ModelState.READY)
            assert (await stub.Explain(request("stuck"), timeout=PATIENCE)).predictions
        finally:
            Stuck.step = "infer"
    assert any("does not end" in record.getMessage() for record in caplog.records)


async def test_work_that_hangs_before_the_graph_is_not_the_models_fault(two_models, connect):
    async with running_server(two_models, StuckInPrepare, workers=1, hang_timeout=0.2) as server:
        repository, stub = server.parts.repository, ExplanationServiceStub(connect(server.address))
        with pytest.raises(grpc.RpcError):
            await stub.Explain(request("stuck"), timeout=0.3)
        assert (await stub.Explain(request("well"), timeout=PATIENCE)).predictions
        stuck = repository.find("stuck")
        assert stuck.state is ModelState.READY
        stuck.explainer.is_free.set()
        assert (await stub.Explain(request("stuck"), timeout=PATIENCE)).predictions


@pytest.mark.parametrize("options", [("--processes", "2"), ("--supervised",)])
@pytest.mark.parametrize("step", ["infer", "prepare"])
async def test_a_process_with_a_supervisor_is_replaced(options, step, repository, tmp_path, connect, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(HANGS)
    flag = tmp_path / "hang"
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("HANG_WHILE_THERE_IS", str(flag))
    monkeypatch.setenv("HANG_IN", step)
    options += ("--workers", "1", "--hang-timeout", "0.2", "--grace", "0.2")
    with server_process(repository, *options) as process:
        before = workers_of(process)
        flag.touch()
        stub = ExplanationServiceStub(connect(process.address))
        with pytest.raises(grpc.RpcError):
            await stub.Explain(request(), timeout=0.5)
        await until(lambda: not all(map(is_alive, before)))  # and the memory of the hanging run is free
        flag.unlink()
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(grpc.RpcError):
                    assert (await stub.Explain(request(), timeout=PATIENCE)).predictions
                    break
                await asyncio.sleep(0.05)
        assert process.process.poll() is None
