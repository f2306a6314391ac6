"""Memory of runs: it is measured when a model is loaded, lent before a run, and what never fits is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1 import manifest_pb2 as pb_manifest
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_core.errors import TooLargeError, UnsupportedError
from camgraph_core.request import Addressed, Request
from camgraph_runtime import Explainer
from camgraph_runtime.explainers import AnyExplainer
from camgraph_runtime.run.stop import Stop, StoppedError
from camgraph_runtime.run_memory import RunMemory
from camgraph_server.budget import Budget
from camgraph_server.config import ServerConfig
from camgraph_server.models.memory import ModelMemory
from camgraph_server.models.repository import ModelRepository
from camgraph_server.models.runs import memory_for_run
from camgraph_server.models.subjects import memory_of as memory_of_image
from camgraph_server.models.trial import Trial
from support.serving import PATIENCE, blank_png, png, running_server, server_process, write_model
from support.tiny_graph import TinyGraph

MIB = 1024 * 1024
SMALL = RunMemory(own=MIB, elements=3 * 16 * 16, largest=MIB)


class Wide(TinyGraph):
    """The graph for images of any size, with a value of so many channels of the image's size on the way."""

    channels: int = 64

    def model(self) -> onnx.ModelProto:
        model = super().model()
        kernel = np.full((self.channels, 3, 1, 1), 1e-3, np.float32)
        back = np.full((3, self.channels, 1, 1), 1e-3, np.float32)
        model.graph.initializer.extend([numpy_helper.from_array(kernel, "wide"), numpy_helper.from_array(back, "back")])
        for node in model.graph.node:
            for place, name in enumerate(node.input):
                if name == "image":
                    node.input[place] = "seen"
        model.graph.node.insert(0, helper.make_node("Conv", ["image", "wide"], ["widened"]))
        model.graph.node.insert(1, helper.make_node("Sin", ["widened"], ["bent"]))
        model.graph.node.insert(2, helper.make_node("Conv", ["bent", "back"], ["narrowed"]))
        model.graph.node.insert(3, helper.make_node("Add", ["image", "narrowed"], ["seen"]))
        return model


def wide(steps=()) -> Wide:
    return Wide(size=None, steps=steps)


def memory_of(pid: int, name: str) -> float:
    """MiB of a process."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def knows(explainer: AnyExplainer, memory: RunMemory) -> AnyExplainer:
    explainer.give_back(memory)
    return explainer


def test_what_runs_take_is_measured_when_a_model_is_loaded(tmp_path):
    fixed = write_model(tmp_path, "fixed")
    open_size = write_model(tmp_path, "open", graph=wide())
    trial = Trial(ServerConfig(tmp_path), PATIENCE)
    try:
        small, large = trial.check(fixed), trial.check(open_size)
    finally:
        trial.close()
    assert small is not None
    assert large is not None
    assert small.elements == 3 * 16 * 16
    assert small.own < 8 * MIB
    assert large.elements == 3 * 512 * 512
    two_values = 2 * 64 * 4 * 512 * 512  # bytes that must be there at the same time
    assert two_values <= large.of(large.elements, 1) <= 4 * two_values
    assert two_values * 16 <= large.of(16 * large.elements, 1) <= 4 * 16 * two_values


@pytest.fixture
def explainer(tmp_path):
    with Explainer(write_model(tmp_path)) as explainer:
        yield explainer


def test_an_ordinary_run_borrows_nothing_and_a_larger_one_what_it_takes(explainer):
    runs = Budget(100 * MIB)
    knows(explainer, SMALL)
    with memory_for_run(explainer, (1, 3, 16, 16), SMALL.elements, 1, runs, Stop()):
        assert runs.held == 0
    with memory_for_run(explainer, (1, 3, 160, 160), 40 * SMALL.elements, 1, runs, Stop()):
        assert runs.held == SMALL.of(40 * SMALL.elements, 1) == 60 * MIB
    assert runs.held == 0


def test_what_never_fits_is_refused_with_the_limit(explainer):
    knows(explainer, SMALL)
    text = (
        r"To run the model for an input of 1 x 3 x 160 x 160 with 2 targets takes about 300 MiB of memory, more than "
        r"the 100 MiB that this server has for runs beside its models; send a smaller image, or ask for fewer targets\."
    )
    with (
        pytest.raises(TooLargeError, match=text),
        memory_for_run(explainer, (1, 3, 160, 160), 100 * SMALL.elements, 2, Budget(100 * MIB), Stop()),
    ):
        pass


def test_a_run_that_waits_for_memory_ends_with_its_caller(explainer):
    runs, stop = Budget(100 * MIB), Stop()
    knows(explainer, SMALL)
    with runs.lent_to_thread(90 * MIB, Stop()):
        stop.ask()
        with pytest.raises(StoppedError), memory_for_run(explainer, (1,), 20 * SMALL.elements, 1, runs, stop):
            pass
        assert runs.held == 90 * MIB


def test_ordinary_runs_are_counted_with_their_model_and_the_rest_is_for_others():
    memory = ModelMemory(100 * MIB, workers=4)
    assert memory.runs.size == 100 * MIB
    files = memory.take(10 * MIB)
    runs = memory.take_runs(replace(SMALL, own=4 * MIB))
    assert (files, runs) == (28 * MIB, 4 * 10 * MIB - 8 * MIB)
    assert memory.runs.size == 40 * MIB
    with pytest.raises(UnsupportedError, match="about 72 MiB of memory, and of the 100 MiB for models 60 are taken"):
        memory.take_runs(replace(SMALL, own=10 * MIB + 2 * MIB // 3))
    memory.give_back(files + runs)
    assert memory.runs.size == 100 * MIB
    assert memory.take_runs(None) == 0


def test_a_model_whose_ordinary_runs_do_not_fit_is_not_loaded_and_takes_nothing(tmp_path):
    closed = []

    class Heavy(Explainer):
        def close(self) -> None:
            closed.append(self)
            super().close()

    write_model(tmp_path)
    memory = ModelMemory(30 * MIB, workers=2)
    repository = ModelRepository(tmp_path, lambda path: knows(Heavy(path), replace(SMALL, own=20 * MIB)), memory)
    repository.load()
    [model] = repository.models
    assert model.info.state == "failed"
    assert "--max-model-memory-mib" in model.info.reason
    assert len(closed) == 1
    assert memory.runs.size == 30 * MIB
    repository.close()


async def test_a_server_refuses_an_image_whose_run_never_fits_and_serves_others(connect, repository):
    loaded: list[AnyExplainer] = []

    def load(path) -> AnyExplainer:
        loaded.append(knows(Explainer(path), replace(SMALL, own=0, elements=3 * 1000 * 1000)))
        return loaded[-1]

    write_model(repository, graph=TinyGraph(size=None, steps=[]))
    async with running_server(repository, load, max_model_memory_mib=32) as server:
        left = server.parts.budgets["runs"].size
        stub = ExplanationServiceStub(connect(server.address))
        memory = loaded[0].run_memory
        assert memory is not None
        small = pb.ExplainRequest(image=pb.EncodedImage(data=png(64, 48)), outputs=[pb.OUTPUT_KIND_RAW_MAP])
        hostile = pb.ExplainRequest(image=pb.EncodedImage(data=blank_png(5000, 4000)))
        assert memory.of(3 * 5000 * 4000, 1) > left
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Explain(hostile, timeout=PATIENCE)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "input of 1 x 3 x 4000 x 5000 with 1 target takes about 30 MiB" in caught.value.details()
        answers = await asyncio.gather(*(stub.Explain(small, timeout=PATIENCE) for _ in range(4)))
        assert all(answer.predictions for answer in answers)
        assert server.parts.budgets["runs"].held == 0


async def test_large_runs_wait_for_each_other(connect, tmp_path):
    """Two at once would take twice the memory: with room for one, the peak is that of one."""
    write_model(tmp_path, graph=wide())
    request = pb.ExplainRequest(image=pb.EncodedImage(data=blank_png(900, 900)), outputs=[pb.OUTPUT_KIND_RAW_MAP])
    peaks = {}
    for size in (900, 4000):
        with server_process(
            tmp_path, "--workers", "4", "--max-model-memory-mib", str(size), "--max-memory-mib", "256", trial=True
        ) as process:
            stub = ExplanationServiceStub(connect(process.address))
            before = memory_of(process.process.pid, "VmRSS")
            await asyncio.gather(*(stub.Explain(request, timeout=PATIENCE) for _ in range(4)))
            peaks[size] = memory_of(process.process.pid, "VmHWM") - before
    one = 2 * 64 * 4 * 900 * 900 / MIB  # 396
    assert peaks[900] < 2 * one
    assert peaks[4000] > 2 * one


@pytest.mark.parametrize(
    ("graph", "times"),
    [
        (TinyGraph(size=None, steps=[]), 34),  # bytes per pixel
        (TinyGraph(size=None, steps=[pb_manifest.GeometryStep(center_square=pb_manifest.CenterSquare())]), 34),
        (TinyGraph(size=None), 10),
        (TinyGraph(), 10),
        (TinyGraph(steps=[]), 10),
    ],
)
def test_a_photo_is_counted_with_its_tensor_where_the_network_sees_it_in_full(tmp_path, graph, times):
    with Explainer(write_model(tmp_path, graph=graph)) as explainer:
        addressed = Addressed(request=Request(), image=png(300, 200))
        assert memory_of_image(explainer, addressed, 10**9) == times * 300 * 200
