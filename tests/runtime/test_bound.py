"""Runs through page-locked memory: the engine's way on CUDA, played on the CPU, where the results must be the same."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from camgraph_core.errors import DeviceError, InferenceError
from camgraph_runtime import Explainer, Target
from camgraph_runtime.run.batcher import RUNS_AT_ONCE
from camgraph_runtime.run.engine import Engine, OnnxRuntime, Threads
from camgraph_runtime.run.page_locked import PageLocked
from camgraph_runtime.run.providers import CPU, CUDA
from camgraph_runtime.run.stop import Stop, StoppedError
from support.tiny_explainer import PHOTO, load, tensor
from support.tiny_graph import TinyGraph

ONE = Threads(intra_op=1)


class Watched:
    """A session on the CPU that says it is on CUDA, counts how its outputs are bound, and notes its images' shapes."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.allocated_here = self.allocated_there = 0
        self.shapes: set[tuple[int, ...]] = set()  # of images

    def get_providers(self) -> list[str]:
        return [CUDA, CPU]

    def io_binding(self) -> Any:
        binding, watched = self._session.io_binding(), self
        bind_input, bind_output = binding.bind_input, binding.bind_output

        def seen(name: str, *where: Any) -> None:
            if len(where[3]) == 4:
                watched.shapes.add(tuple(where[3]))
            bind_input(name, *where)

        def counted(name: str, *where: Any) -> None:
            watched.allocated_here += len(where) > 1
            watched.allocated_there += len(where) == 1
            bind_output(name, *where)

        binding.bind_input, binding.bind_output = seen, counted
        return binding

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


class MachineWithGpu(OnnxRuntime):
    """onnxruntime with a CUDA provider that computes on the CPU; it keeps the sizes of page-locked memory."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.devices: list[int] = []
        self.sessions: list[Watched] = []

    def available_providers(self) -> list[str]:
        return [CUDA, CPU]

    def create_session(self, model: Any, options: Any, providers: Any) -> Any:
        assert providers[0][0] == CUDA
        self.sessions.append(Watched(super().create_session(model, options, [(CPU, {})])))
        return self.sessions[-1]

    def placement(self, _: Any) -> list[tuple[str, str]]:
        return []

    def page_locked(self, device: int) -> Callable[[int], np.ndarray]:
        self.devices.append(device)

        def allocate(size: int) -> np.ndarray:
            self.sizes.append(size)
            return np.full(size, 0xAB, np.uint8)  # whatever was in it before

        return allocate


@pytest.fixture
def machine() -> MachineWithGpu:
    return MachineWithGpu()


def on_gpu(machine: MachineWithGpu, graph: bytes, **options: Any) -> Engine:
    return Engine(graph, device="cuda:device_id=1", threads=ONE, backend=machine, **options)


@pytest.mark.parametrize("switch", [False, True])
def test_results_are_those_of_plain_runs(machine: MachineWithGpu, switch: bool) -> None:
    graph = TinyGraph(explain_switch=switch)
    there, here = Explainer(on_gpu(machine, graph.serialize())), load(graph)
    requests: list[dict[str, Any]] = [
        {"image": PHOTO, "top_k": 1},
        {"image": PHOTO, "targets": [Target.index(number) for number in range(4)]},
        {"tensor": tensor(3), "method": "hires-cam"},
        {"tensor": tensor(4), "layers": ["conv"], "targets": [Target.index(2, contrast=Target.index(1))]},
    ]
    for _ in range(3):  # the second time outputs go into buffers, the third time used ones
        for request in requests:
            found, expected = there.explain(**request), here.explain(**request)
            for given, wanted in zip(found.explanations, expected.explanations, strict=True):
                np.testing.assert_array_equal(given.raw_maps[0], wanted.raw_maps[0])
                np.testing.assert_array_equal(given.heatmap, wanted.heatmap)
            assert found.predictions == expected.predictions
        if switch:
            assert there.predict(tensor=tensor(5)).predictions == here.predict(tensor=tensor(5)).predictions
    assert machine.devices == [1]
    [session] = machine.sessions
    assert session.allocated_here > session.allocated_there


def test_buffers_grow_to_the_largest_run_and_stay(machine: MachineWithGpu) -> None:
    engine = on_gpu(machine, TinyGraph().serialize())
    for batch in (1, 4, 4, 4, 4, 2):  # two runs in each set of buffers: the first shows the outputs' shapes
        run(engine, batch)
    assert max(machine.sizes) == 4 * 3 * 16 * 16 * np.float32().nbytes
    settled = list(machine.sizes)
    for batch in (4, 1, 2, 3, 4, 3, 2, 1):
        run(engine, batch)
    assert machine.sizes == settled


def run(engine: Engine, batch: int, seed: int = 0) -> dict[str, np.ndarray]:
    images = np.random.default_rng(seed).normal(size=(batch, 3, 16, 16)).astype(np.float32)
    return engine.run({"image": images, "target": np.zeros((batch, 1), np.int64)})


def test_each_shape_of_images_has_a_session(machine: MachineWithGpu) -> None:
    engine, plain = on_gpu(machine, TinyGraph().serialize(), shapes=3), Engine(TinyGraph().serialize(), threads=ONE)
    assert len(machine.sessions) == 3
    for batch in (1, 2, 4, 4, 2, 1):
        for name, value in run(plain, batch).items():
            np.testing.assert_array_equal(run(engine, batch)[name], value)
    assert [session.shapes for session in machine.sessions] == [{(size, 3, 16, 16)} for size in (1, 2, 4)]


def test_a_shape_too_many_takes_the_session_that_was_not_used_for_longest(machine: MachineWithGpu) -> None:
    engine = on_gpu(machine, TinyGraph().serialize(), shapes=2)
    for batch in (1, 2, 1, 3, 1):
        run(engine, batch)
    first, second = (session.shapes for session in machine.sessions)
    assert first == {(1, 3, 16, 16)}
    assert second == {(2, 3, 16, 16), (3, 3, 16, 16)}


def test_a_graph_of_one_shape_has_one_session(machine: MachineWithGpu) -> None:
    model = relu_of_one_shape()
    on_gpu(machine, model.SerializeToString(), shapes=5)
    assert len(machine.sessions) == 1


def relu_of_one_shape() -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "fixed",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 8, 8])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_a_result_is_kept_when_the_next_run_takes_its_buffers(machine: MachineWithGpu) -> None:
    engine = on_gpu(machine, TinyGraph().serialize())
    results = [run(engine, 2, seed) for seed in range(6)]
    plain = Engine(TinyGraph().serialize(), threads=ONE)
    for seed, result in enumerate(results):
        for name, value in run(plain, 2, seed).items():
            np.testing.assert_array_equal(result[name], value)


def test_threads_do_not_share_buffers(machine: MachineWithGpu) -> None:
    engine, plain = on_gpu(machine, TinyGraph().serialize()), Engine(TinyGraph().serialize(), threads=ONE)
    with ThreadPoolExecutor(4 * RUNS_AT_ONCE) as pool:
        results = list(pool.map(lambda seed: run(engine, 1 + seed % 3, seed), range(60)))
    for seed, result in enumerate(results):
        for name, value in run(plain, 1 + seed % 3, seed).items():
            np.testing.assert_array_equal(result[name], value)


def test_outputs_of_any_number_are_left_to_onnxruntime(machine: MachineWithGpu) -> None:
    graph = helper.make_graph(
        [helper.make_node("NonZero", ["x"], ["places"]), helper.make_node("Relu", ["x"], ["y"])],
        "places",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])],
        [
            helper.make_tensor_value_info("places", TensorProto.INT64, [2, "found"]),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    engine = on_gpu(machine, model.SerializeToString())
    for count in (0, 1, 3, 2, 0, 3):
        x = np.zeros((1, 3), np.float32)
        x[0, :count] = 1
        result = engine.run({"x": x})
        np.testing.assert_array_equal(result["places"], np.nonzero(x))
        np.testing.assert_array_equal(result["y"], x)


def test_a_run_that_fails_leaves_clean_buffers(machine: MachineWithGpu) -> None:
    engine = on_gpu(machine, TinyGraph().serialize())
    run(engine, 1)
    with pytest.raises(InferenceError, match="Running the graph failed"):
        engine.run({"image": np.zeros((1, 3, 16, 16), np.float32), "target": np.full((1, 1), 99, np.int64)})
    stop = Stop()
    stop.ask()
    with pytest.raises(StoppedError):
        engine.run({"image": np.zeros((1, 3, 16, 16), np.float32), "target": np.zeros((1, 1), np.int64)}, stop=stop)
    assert set(run(engine, 1)) == set(engine.outputs)


def test_it_can_be_left_out_to_measure_it(machine: MachineWithGpu) -> None:
    run(on_gpu(machine, TinyGraph().serialize(), page_locked=False), 1)
    assert machine.devices == []


class FakeCuda:
    """CUDA's library, with ordinary memory; `status` is what it answers."""

    def __init__(self, status: int = 0) -> None:
        self.status, self.device = status, None
        self.held: dict[int, Any] = {}
        self.cudaGetErrorString: Any = lambda _: b"out of memory"
        self.freed = threading.Event()

    def cudaSetDevice(self, device: int) -> int:  # noqa: N802 - CUDA's name
        self.device = device
        return 0

    def cudaHostAlloc(self, pointer: Any, size: ctypes.c_size_t, _: ctypes.c_uint) -> int:  # noqa: N802 - as above
        if not self.status:
            memory = ctypes.create_string_buffer(size.value)
            pointer._obj.value = ctypes.addressof(memory)
            self.held[pointer._obj.value] = memory
        return self.status

    def cudaFreeHost(self, pointer: ctypes.c_void_p) -> int:  # noqa: N802 - as above
        del self.held[pointer.value or 0]
        self.freed.set()
        return 0


def test_page_locked_memory_lives_as_long_as_its_views(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: cuda if name == "libcudart.so.13" else None)
    memory = PageLocked("13.0", device=2)(4096)
    assert (memory.dtype, memory.shape, cuda.device) == (np.uint8, (4096,), 2)
    view = memory[:64].view(np.float32).reshape(4, 4)
    del memory
    view[...] = 7
    assert not cuda.freed.is_set()
    assert view.sum() == 7 * 16
    del view
    assert cuda.freed.is_set()
    assert cuda.held == {}


def test_cuda_that_gives_no_memory_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: FakeCuda(status=2))
    with pytest.raises(DeviceError, match="CUDA gives no 64 bytes of page-locked memory: out of memory"):
        PageLocked("13.0", 0)(64)


def test_a_library_that_is_not_there_is_said() -> None:
    with pytest.raises(DeviceError, match=r"CUDA's library \S*cudart\S* cannot be loaded"):
        PageLocked("999.0", 0)
