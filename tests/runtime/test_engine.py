"""The engine: loading, checking, running, and its honesty about devices."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from camgraph_core.errors import DeviceError, InferenceError, InvalidGraphError, InvalidInputError
from camgraph_runtime.run.backend import SessionSettings
from camgraph_runtime.run.engine import Engine, Threads
from camgraph_runtime.run.providers import CPU, CUDA
from support.fake_backend import FakeBackend
from support.tiny_graph import TinyGraph

ONE = Threads(intra_op=1)


def adder() -> onnx.ModelProto:
    """Two sums: c = a + b, a and b float32 [N, 3]; e = 2 d, d int64 [2, any]."""
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["a", "b"], ["c"]),
            helper.make_node("Mul", ["d", "two"], ["e"]),
        ],
        "adder",
        [
            helper.make_tensor_value_info("a", TensorProto.FLOAT, ["N", 3]),
            helper.make_tensor_value_info("b", TensorProto.FLOAT, ["N", 3]),
            helper.make_tensor_value_info("d", TensorProto.INT64, [2, None]),
        ],
        [
            helper.make_tensor_value_info("c", TensorProto.FLOAT, ["N", 3]),
            helper.make_tensor_value_info("e", TensorProto.INT64, [2, None]),
        ],
        [numpy_helper.from_array(np.array(2, np.int64), "two")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"key": "value"})
    return model


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(adder().SerializeToString(), threads=ONE)


def feeds(n: int = 2) -> dict[str, np.ndarray]:
    return {
        "a": np.arange(3 * n, dtype=np.float32).reshape(n, 3),
        "b": np.ones((n, 3), np.float32),
        "d": np.array([[1], [2]], np.int64),
    }


def test_it_says_what_it_has(engine: Engine) -> None:
    assert engine.inputs["a"].shape == ("N", 3)
    assert engine.inputs["a"].dtype == "float32"
    assert engine.inputs["d"].shape == (2, None)
    assert engine.inputs["d"].dtype == "int64"
    assert list(engine.outputs) == ["c", "e"]
    assert engine.metadata == {"key": "value"}
    assert engine.execution_provider == CPU


def test_it_runs_all_outputs_or_the_asked_ones(engine: Engine) -> None:
    values = engine.run(feeds())
    np.testing.assert_array_equal(values["c"], feeds()["a"] + 1)
    np.testing.assert_array_equal(values["e"], [[2], [4]])
    assert list(engine.run(feeds(5), ["e"])) == ["e"]


def test_it_loads_from_a_path_with_external_data(tmp_path: Path) -> None:
    model = TinyGraph().model()
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=100)
    assert "scores" in Engine(path, threads=ONE).outputs
    assert "scores" in Engine(str(path), threads=ONE).outputs
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(InvalidGraphError, match=r"model\.onnx cannot be loaded.*external data"):
        Engine(path, threads=ONE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": None}, "input 'a' is missing; the graph takes a, b, d"),
        ({"z": np.zeros(1)}, "no input 'z'"),
        ({"a": np.zeros((2, 3))}, "input 'a' is float64, but the graph wants float32"),
        ({"d": np.zeros((2, 1), np.int32)}, "input 'd' is int32, but the graph wants int64"),
        (
            {"a": np.zeros((2, 4), np.float32)},
            r"input 'a' has the shape \[2, 4\], but the graph wants \[N, 3\]",
        ),
        ({"a": np.zeros(3, np.float32)}, r"shape \[3\], but the graph wants \[N, 3\]"),
        ({"d": np.zeros((3, 1), np.int64)}, r"but the graph wants \[2, \?\]"),
        ({"a": np.zeros((3, 3), np.float32)}, "axis N is 3 long in the input 'a' but 2 long in 'b'"),
    ],
)
def test_what_does_not_fit_is_refused_and_the_engine_lives_on(
    engine: Engine, change: dict[str, np.ndarray | None], message: str
) -> None:
    changed = {name: value for name, value in {**feeds(), **change}.items() if value is not None}
    with pytest.raises(InvalidInputError, match=message):
        engine.run(changed)
    assert engine.run(feeds(), ["c"])["c"].shape == (2, 3)


def test_an_unknown_output_is_named(engine: Engine) -> None:
    with pytest.raises(InferenceError, match="has no output 'z'; it has c, e"):
        engine.run(feeds(), ["z"])


def test_a_failure_inside_onnxruntime_is_told_in_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    """Gather with an index out of range passes every check of shapes."""
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "index"], ["row"])],
        "lookup",
        [helper.make_tensor_value_info("index", TensorProto.INT64, [1])],
        [helper.make_tensor_value_info("row", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.zeros((2, 2), np.float32), "table")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    lookup = Engine(model.SerializeToString(), threads=ONE)
    with pytest.raises(
        InferenceError, match=r"^Running the graph failed: [^\n]*indices element out of data bounds[^\n]*$"
    ):
        lookup.run({"index": np.array([9])})
    assert lookup.run({"index": np.array([1])})["row"].shape == (1, 2)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("model", [b"", b"no graph", b"\x08\x07", b"\x00" * 5000])
def test_bytes_that_are_no_graph(model: bytes) -> None:
    with pytest.raises(InvalidGraphError, match="cannot be loaded as an ONNX graph"):
        Engine(model, threads=ONE)


def test_files_that_are_no_graph(tmp_path: Path) -> None:
    whole = adder().SerializeToString()
    files = {
        "missing": None,
        "empty": b"",
        "text": b"hello",
        "cut": TinyGraph().serialize()[:900],
        "whole": whole,
    }
    for name, data in files.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
    for name, message in {
        "missing": "does not exist",
        ".": "is a directory",
        "empty": "is empty",
        "text": "text cannot be loaded",
        "cut": "cut cannot be loaded",
    }.items():
        with pytest.raises(InvalidGraphError, match=message):
            Engine(tmp_path / name, threads=ONE)
    assert Engine(tmp_path / "whole", threads=ONE).outputs


def test_a_closed_engine_refuses() -> None:
    with Engine(adder().SerializeToString(), threads=ONE) as engine:
        engine.run(feeds())
    with pytest.raises(InferenceError, match="is closed"):
        engine.run(feeds())
    engine.close()


def test_many_threads_get_their_own_answers(engine: Engine) -> None:
    wrong: list[int] = []

    def work(number: int) -> None:
        for n in range(1, 20):
            value = engine.run({**feeds(n), "b": np.full((n, 3), number, np.float32)}, ["c"])["c"]
            if not np.array_equal(value, feeds(n)["a"] + number):
                wrong.append(number)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert not any(worker.is_alive() for worker in workers)
    assert wrong == []


def test_optimisation_off_and_thread_counts_reach_the_session() -> None:
    backend = FakeBackend([CPU])
    Engine(
        b"graph",
        threads=Threads(3, 2, spinning=True),
        optimize=False,
        session_config={"k": "v"},
        backend=backend,
    )
    [request] = backend.requests
    assert request.settings == SessionSettings(Threads(3, 2, spinning=True), optimize=False, config={"k": "v"})
    assert Engine(adder().SerializeToString(), threads=Threads(2, 2), optimize=False).run(feeds())


# A machine with or without a GPU, played by a backend.


def test_cuda_is_refused_by_this_machines_onnxruntime_or_works() -> None:
    """Never a silent fallback, whatever this machine has."""
    try:
        engine = Engine(adder().SerializeToString(), device="cuda", threads=ONE)
    except DeviceError as error:
        assert "CUDA was asked for" in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert engine.execution_provider == CUDA


def test_cuda_without_a_cuda_build() -> None:
    backend = FakeBackend([CPU])
    with pytest.raises(DeviceError, match=r"has only CPUExecutionProvider.*camgraph\[gpu\]"):
        Engine(b"graph", device="cuda", backend=backend)
    assert backend.requests == []


@pytest.mark.parametrize("loud", [True, False])
def test_cuda_that_does_not_start(loud: bool) -> None:
    with pytest.raises(DeviceError, match="CUDA was asked for, but onnxruntime"):
        Engine(b"graph", device="cuda", backend=FakeBackend([CUDA, CPU], loud=loud))


def test_a_damaged_graph_on_cuda_is_not_blamed_on_the_device() -> None:
    with pytest.raises(InvalidGraphError, match="cannot be loaded"):
        Engine(b"graph", device="cuda", backend=FakeBackend([CUDA, CPU], starts=[]))


def test_cuda_that_starts_gets_exact_arithmetic_unless_told_otherwise() -> None:
    backend = FakeBackend([CUDA, CPU], starts=[CUDA, CPU])
    engine = Engine(b"graph", device="cuda:device_id=1", backend=backend)
    assert engine.execution_provider == CUDA
    assert backend.preloaded == 1
    [request] = backend.requests
    assert request.providers[0] == (
        CUDA,
        {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC", "device_id": "1"},
    )


@pytest.mark.parametrize("loud", [True, False])
@pytest.mark.parametrize(
    ("available", "starts", "provider"),
    [([CPU], [CPU], CPU), ([CUDA, CPU], [CPU], CPU), ([CUDA, CPU], [CUDA, CPU], CUDA)],
)
def test_auto_takes_what_works_and_says_so(available: list[str], starts: list[str], provider: str, loud: bool) -> None:
    backend = FakeBackend(available, starts, loud=loud)
    assert Engine(b"graph", device="auto", backend=backend).execution_provider == provider


def test_cpu_never_asks_for_cuda() -> None:
    backend = FakeBackend([CUDA, CPU], starts=[CUDA, CPU])
    assert Engine(b"graph", backend=backend).execution_provider == CPU
    assert backend.preloaded == 0
