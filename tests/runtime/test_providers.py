"""Any provider of onnxruntime: what was asked for runs or the start fails, and what it leaves to the CPU is said."""

from __future__ import annotations

from typing import Any

import pytest

from camgraph_core.errors import DeviceError, InvalidGraphError
from camgraph_runtime.run.engine import Engine
from camgraph_runtime.run.providers import CPU, CUDA, DEFAULTS, placement_note
from support.fake_backend import FakeBackend
from support.tiny_graph import TinyGraph

OPENVINO = "OpenVINOExecutionProvider"
ALL = [
    "TensorrtExecutionProvider",
    CUDA,
    OPENVINO,
    "DmlExecutionProvider",
    "CoreMLExecutionProvider",
    "QNNExecutionProvider",
    "XnnpackExecutionProvider",
    CPU,
]


def load(device: str, *, starts: list[str] | None = None, loud: bool = True, **more: Any) -> tuple[Engine, FakeBackend]:
    backend = FakeBackend(ALL, ALL if starts is None else starts, loud=loud, **more)
    return Engine(b"graph", device=device, backend=backend), backend


@pytest.mark.parametrize(
    ("device", "provider", "options"),
    [
        ("cuda", CUDA, DEFAULTS[CUDA]),
        ("CUDA:use_tf32=1,device_id=2", CUDA, {**DEFAULTS[CUDA], "use_tf32": "1", "device_id": "2"}),
        ("tensorrt:trt_fp16_enable=0", "TensorrtExecutionProvider", {"trt_fp16_enable": "0"}),
        ("OpenVINO:device_type=GPU", OPENVINO, {"precision": "ACCURACY", "device_type": "GPU"}),
        ("openvino:cache_dir=C:/maps=1", OPENVINO, {"precision": "ACCURACY", "cache_dir": "C:/maps=1"}),
        ("coreml", "CoreMLExecutionProvider", {}),
        ("directml", "DmlExecutionProvider", {}),
        ("qnn:backend_path=libQnnHtp.so", "QNNExecutionProvider", {"backend_path": "libQnnHtp.so"}),
        ("xnnpack:intra_op_num_threads=2", "XnnpackExecutionProvider", {"intra_op_num_threads": "2"}),
    ],
)
def test_a_provider_is_asked_for_by_its_name_and_options(device: str, provider: str, options: dict[str, str]) -> None:
    engine, backend = load(device)
    [request] = backend.requests
    assert request.providers == [(provider, dict(options)), (CPU, {})]
    assert engine.execution_provider == provider
    assert backend.preloaded == (provider in {CUDA, "TensorrtExecutionProvider"})


def test_the_cpu_takes_options_too() -> None:
    _, backend = load("cpu:use_arena=0")
    assert backend.requests[0].providers == [(CPU, {"use_arena": "0"})]


@pytest.mark.parametrize("loud", [True, False])
@pytest.mark.parametrize("device", ["openvino", "coreml", "xnnpack", "tensorrt", "cuda"])
def test_what_does_not_start_is_refused(device: str, loud: bool) -> None:
    with pytest.raises(DeviceError, match=r"was asked for, but onnxruntime (cannot start it|fell back to CPUExec)"):
        load(device, starts=[CPU], loud=loud)


def test_a_damaged_graph_is_not_blamed_on_the_provider() -> None:
    with pytest.raises(InvalidGraphError, match="cannot be loaded"):
        load("openvino", starts=[])


@pytest.mark.parametrize(
    ("device", "message"),
    [
        (
            "tpu",
            "There is no device 'tpu': this onnxruntime has Tensorrt, CUDA, OpenVINO, .* Choose one of them",
        ),
        ("", "There is no device ''; it is cpu, auto, or a provider"),
        ("openvino:", "There is no device 'openvino:'; it is cpu, auto, or a provider as NAME:KEY=VALUE,KEY=VALUE"),
        ("openvino:device_type", "There is no device 'openvino:device_type'"),
        ("openvino:=GPU", "There is no device 'openvino:=GPU'"),
    ],
)
def test_what_names_no_device_is_refused(device: str, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        load(device)


def test_nodes_that_are_left_to_the_cpu_are_counted_and_said() -> None:
    placed = [(OPENVINO, "Conv")] * 10 + [(CPU, "Gather")] * 2 + [(CPU, "Where")]
    engine, _ = load("openvino", placed=placed)
    assert engine.notes == ("OpenVINO leaves 3 of the graph's 13 nodes to the CPU: 2 Gather, 1 Where.",)


def test_a_provider_that_takes_all_nodes_needs_no_words() -> None:
    assert load("openvino", placed=[(OPENVINO, "Conv")] * 3)[0].notes == ()
    assert load("cpu", placed=[(CPU, "Conv")] * 3)[0].notes == ()


def test_many_kinds_of_nodes_are_summed_up() -> None:
    placed = [(CPU, f"Op{number}") for number in range(9)]
    assert placement_note(CUDA, placed).endswith("9 nodes to the CPU: 1 Op0, 1 Op1, 1 Op2, 1 Op3, 1 Op4, 4 more kinds.")


def test_onnxruntime_itself_says_where_nodes_are() -> None:
    """CUDA is not here, but the same question of a session on the CPU has an answer."""
    from camgraph_runtime.run.onnx_runtime import OnnxRuntime  # noqa: PLC0415 - the real backend, only here

    class Recording(OnnxRuntime):
        def available_providers(self) -> list[str]:
            return ["CPUExecutionProvider", "FakeExecutionProvider"]

        def create_session(self, model: Any, options: Any, providers: Any) -> Any:
            return super().create_session(model, options, [provider for provider in providers if provider[0] == CPU])

    backend = Recording()
    with pytest.raises(DeviceError, match="Fake was asked for, but onnxruntime fell back to CPUExecutionProvider"):
        Engine(TinyGraph().serialize(), device="fake", backend=backend)
    config = {"session.record_ep_graph_assignment_info": "1"}
    engine = Engine(TinyGraph().serialize(), backend=backend, session_config=config)
    placed = backend.placement(engine._session)
    assert {provider for provider, _ in placed} == {CPU}
    assert "Conv" in {operator for _, operator in placed} or len(placed) > 3
