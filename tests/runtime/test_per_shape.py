"""A session per shape of the images: the engine's way on CUDA, played on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from camgraph_runtime import Batching, Explainer
from camgraph_runtime.run.engine import Engine, Threads
from camgraph_runtime.run.onnx_runtime import OnnxRuntime
from camgraph_runtime.run.providers import CPU, CUDA
from support.tiny_graph import TinyGraph

ONE = Threads(intra_op=1)
GRAPH = TinyGraph().serialize()


class Watched:
    """A session on the CPU that says it is on CUDA, and notes the numbers of images of its runs."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.sizes: list[int] = []

    def get_providers(self) -> list[str]:
        return [CUDA, CPU]

    def run(self, names: Sequence[str], feeds: Mapping[str, Any], options: Any = None) -> Any:
        self.sizes.append(len(next(iter(feeds.values()))))
        return self._session.run(names, feeds, options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


class MachineWithGpu(OnnxRuntime):
    """onnxruntime with a CUDA provider that computes on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions: list[Watched] = []

    def available_providers(self) -> list[str]:
        return [CUDA, CPU]

    def create_session(self, model: Any, options: Any, providers: Any) -> Any:
        assert providers[0][0] == CUDA
        self.sessions.append(Watched(super().create_session(model, options, [(CPU, {})])))
        return self.sessions[-1]

    def placement(self, _: Any) -> list[tuple[str, str]]:
        return []

    @property
    def sizes(self) -> list[list[int]]:
        """The numbers of images of each session's runs."""
        return [session.sizes for session in self.sessions]


@pytest.fixture
def machine() -> MachineWithGpu:
    return MachineWithGpu()


def on_gpu(machine: MachineWithGpu, shapes: int, graph: bytes = GRAPH) -> Engine:
    return Engine(graph, device="cuda", threads=ONE, backend=machine, shapes=shapes)


def run(engine: Engine, batch: int, seed: int = 0) -> dict[str, np.ndarray]:
    images = np.random.default_rng(seed).normal(size=(batch, 3, 16, 16)).astype(np.float32)
    return engine.run({"image": images, "target": np.zeros((batch, 1), np.int64)})


def test_each_size_of_batch_keeps_its_session(machine: MachineWithGpu) -> None:
    engine = on_gpu(machine, shapes=3)
    for batch in (1, 2, 4, 4, 2, 1, 1, 4):
        run(engine, batch)
    assert machine.sizes == [[1, 1, 1], [2, 2], [4, 4, 4]]


def test_a_size_too_many_takes_the_session_that_was_not_used_for_longest(machine: MachineWithGpu) -> None:
    engine = on_gpu(machine, shapes=2)
    for batch in (1, 2, 1, 3, 1, 3, 2):
        run(engine, batch)
    assert machine.sizes == [[1, 1, 1, 2], [2, 3, 3]]


def test_the_number_of_targets_changes_no_session(machine: MachineWithGpu) -> None:
    engine = on_gpu(machine, shapes=2)
    for targets in (1, 3, 1):
        engine.run({"image": np.zeros((1, 3, 16, 16), np.float32), "target": np.zeros((1, targets), np.int64)})
    assert machine.sizes == [[1, 1, 1], []]


def test_results_are_those_of_one_session(machine: MachineWithGpu) -> None:
    engine, plain = on_gpu(machine, shapes=2), Engine(GRAPH, threads=ONE)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda seed: run(engine, 1 + seed % 3, seed), range(60)))
    for seed, result in enumerate(results):
        for name, value in run(plain, 1 + seed % 3, seed).items():
            np.testing.assert_array_equal(result[name], value)


def test_a_graph_of_one_shape_has_one_session(machine: MachineWithGpu) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "fixed", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    on_gpu(machine, 5, model.SerializeToString())
    assert len(machine.sessions) == 1


def test_an_explainer_has_a_session_for_each_size_of_its_batches(
    machine: MachineWithGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camgraph_runtime.run.onnx_runtime.OnnxRuntime", lambda: machine)
    with Explainer(GRAPH, device="cuda", threads=ONE, batching=Batching(8, buckets=(2, 4))):
        assert len(machine.sessions) == 3
    with Explainer(GRAPH, device="cuda", threads=ONE):
        assert len(machine.sessions) == 4
