"""The engine on a real GPU: what the tests with a played one cannot show."""

from __future__ import annotations

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from camgraph_core.errors import DeviceError
from camgraph_runtime import Explainer, Target
from camgraph_runtime.run.engine import Engine
from camgraph_runtime.run.providers import CUDA
from camgraph_runtime.run.stop import Stop, StoppedError
from support import cuda
from support.tiny_explainer import PHOTO, load, tensor
from support.tiny_graph import TinyGraph

cuda.needed()

CLOSE = {"rtol": 1e-4, "atol": 1e-5}
"""Both sides compute in float32, and add in another order."""


def convolutions(count: int, channels: int) -> onnx.ModelProto:
    """So many convolutions of 3 x 3, one after the other, float32 [N, channels, h, w]."""
    random = np.random.default_rng(0)
    shape = (channels, channels, 3, 3)
    weights = random.normal(0, 1 / np.sqrt(9 * channels), (2, *shape)).astype(np.float32)
    nodes = [helper.make_node("Conv", [f"x{n}", f"w{n % 2}"], [f"x{n + 1}"], pads=[1, 1, 1, 1]) for n in range(count)]
    axes = ["N", channels, "h", "w"]
    graph = helper.make_graph(
        nodes,
        "convolutions",
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, axes)],
        [helper.make_tensor_value_info(f"x{count}", TensorProto.FLOAT, axes)],
        [numpy_helper.from_array(weights[n], f"w{n}") for n in range(2)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_explanations_are_those_of_the_cpu() -> None:
    graph = TinyGraph()
    there, here = Explainer(Engine(graph.serialize(), device="cuda")), load(graph)
    requests: list[dict[str, Any]] = [
        {"image": PHOTO, "top_k": 1},
        {"image": PHOTO, "targets": [Target.index(number) for number in range(4)]},
        {"tensor": tensor(3), "method": "hires-cam"},
        {"tensor": tensor(4), "layers": ["conv"], "targets": [Target.index(2, contrast=Target.index(1))]},
    ]
    for request in requests:
        found, expected = there.explain(**request), here.explain(**request)
        for given, wanted in zip(found.explanations, expected.explanations, strict=True):
            np.testing.assert_allclose(given.raw_maps[0], wanted.raw_maps[0], **CLOSE)


def test_auto_takes_the_gpu() -> None:
    assert Engine(TinyGraph().serialize(), device="auto").execution_provider == CUDA


def test_a_gpu_that_is_not_there_is_said() -> None:
    with pytest.raises(DeviceError, match="CUDA was asked for, but"):
        Engine(TinyGraph().serialize(), device="cuda:device_id=99")


def test_tf32_is_off_unless_it_is_asked_for() -> None:
    graph = convolutions(4, 64).SerializeToString()
    x = {"x0": np.random.default_rng(1).standard_normal((1, 64, 56, 56)).astype(np.float32)}
    [expected] = Engine(graph).run(x).values()

    def error(device: str) -> float:
        [found] = Engine(graph, device=device).run(x).values()
        return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))

    assert error("cuda") < 1e-5
    assert 1e-4 < error("cuda:use_tf32=1") < 1e-2


def test_threads_get_their_own_results() -> None:
    graph = TinyGraph().serialize()
    there, here = Engine(graph, device="cuda", shapes=2), Engine(graph)

    def feeds(seed: int) -> dict[str, np.ndarray]:
        images = np.random.default_rng(seed).normal(size=(1 + seed % 3, 3, 16, 16)).astype(np.float32)
        return {"image": images, "target": np.full((len(images), 1), seed % 5, np.int64)}

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda seed: there.run(feeds(seed)), range(200)))
    for seed, result in enumerate(results):
        for name, value in here.run(feeds(seed)).items():
            np.testing.assert_allclose(result[name], value, **CLOSE, err_msg=f"{name} of {seed}")


def test_outputs_of_any_number_come_back() -> None:
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
    engine = Engine(model.SerializeToString(), device="cuda")
    for count in (0, 1, 3, 2, 0, 3):
        x = np.zeros((1, 3), np.float32)
        x[0, :count] = 1
        result = engine.run({"x": x})
        np.testing.assert_array_equal(result["places"], np.nonzero(x))
        np.testing.assert_array_equal(result["y"], x)


def test_a_run_is_ended_from_another_thread() -> None:
    """The same run first takes its whole time, so that being ended is not being done."""
    engine = Engine(convolutions(400, 256).SerializeToString(), device="cuda")
    x = {"x0": np.random.default_rng(1).standard_normal((8, 256, 112, 112)).astype(np.float32)}
    engine.run(x)
    began = time.monotonic()
    engine.run(x)
    whole = time.monotonic() - began
    stop = Stop()
    threading.Timer(whole / 10, stop.ask).start()
    with pytest.raises(StoppedError):
        engine.run(x, stop=stop)
    small = {"x0": x["x0"][:1, :, :8, :8]}
    np.testing.assert_array_equal(*(next(iter(engine.run(small).values())) for _ in range(2)))


def test_memory_is_given_back() -> None:
    graph = convolutions(8, 256).SerializeToString()
    x = {"x0": np.ones((8, 256, 112, 112), np.float32)}
    taken = []
    for _ in range(4):
        with Engine(graph, device="cuda") as engine:
            engine.run(x)
        del engine
        gc.collect()
        taken.append(cuda.memory_in_use())
    assert taken[-1] <= taken[0] + (32 << 20), taken
