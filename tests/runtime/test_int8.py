"""Sums of uint8 x int8: the probe of the CPU, and the engine's choice of kernels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest

from camgraph_core.errors import InvalidGraphError
from camgraph_runtime.run.engine import Device, Engine, Threads
from camgraph_runtime.run.int8 import EXACT_KERNELS, PROBE_MODEL, saturates
from camgraph_runtime.run.providers import CPU, CUDA
from support.fake_backend import FakeBackend

[EXACT] = EXACT_KERNELS


def test_the_probe_model_is_what_its_comment_says() -> None:
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 13]>
        g (uint8[1, 2] a, int8[2, 1] b) => (int32[1, 1] y) { y = MatMulInteger (a, b) }
    """)
    assert model.SerializeToString() == PROBE_MODEL


@pytest.mark.parametrize(("answer", "verdict"), [(64770, False), (32767, True)])
def test_the_probe_tells_kernels_that_saturate(answer: int, verdict: bool) -> None:
    asked: list[Mapping[str, np.ndarray]] = []

    def run(feeds: Mapping[str, np.ndarray]) -> np.ndarray:
        asked.append(feeds)
        return np.array([[answer]], np.int32)

    assert saturates(run) == verdict
    assert (asked[0]["a"].astype(int) @ asked[0]["b"].astype(int)).item() == 64770


@pytest.mark.parametrize(
    ("saturating", "options", "value", "exact"),
    [
        (False, {}, None, True),
        (False, {"exact_int8": False}, None, True),
        (True, {}, "1", True),
        (True, {"exact_int8": False}, None, False),
        (True, {"optimize": False}, None, False),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_exact_kernels_are_asked_for_where_the_default_ones_saturate(
    device: Device, saturating: bool, options: dict[str, bool], value: str | None, exact: bool
) -> None:
    backend = FakeBackend([CUDA, CPU], saturates=saturating)
    engine = Engine(b"graph", device=device, backend=backend, session_config={"k": "v"}, **options)  # type: ignore[arg-type]  # booleans
    assert backend.requests[-1].settings.config == {"k": "v", **({EXACT: value} if value else {})}
    assert engine.exact_int8 == exact
    assert engine.notes == ()


def test_a_graph_that_exact_kernels_do_not_take_is_loaded_without_and_says_so() -> None:
    backend = FakeBackend([CPU], saturates=True, refuses_exact=True)
    engine = Engine(b"graph", backend=backend)
    assert [EXACT in request.settings.config for request in backend.requests] == [True, False]
    assert not engine.exact_int8
    [note] = engine.notes
    assert "cannot load the graph with exact kernels" in note


def test_a_damaged_graph_is_not_blamed_on_exact_kernels() -> None:
    with pytest.raises(InvalidGraphError, match="the graph cannot be loaded as an ONNX graph"):
        Engine(b"graph", backend=FakeBackend([CPU], starts=[], saturates=True))


def test_sums_are_right_on_this_cpu() -> None:
    """Whatever CPU runs this: with VNNI by its own kernels, without by the exact ones."""
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 13]>
        g (uint8[4, 64] a) => (int32[4, 32] y) { y = MatMulInteger (a, b) }
    """)
    rng = np.random.default_rng(0)
    b = rng.integers(-128, 128, (64, 32)).astype(np.int8)
    model.graph.initializer.append(onnx.numpy_helper.from_array(b, "b"))
    a = rng.integers(0, 256, (4, 64)).astype(np.uint8)
    engine = Engine(model.SerializeToString(), threads=Threads(1))
    assert engine.exact_int8
    np.testing.assert_array_equal(engine.run({"a": a})["y"], a.astype(np.int32) @ b.astype(np.int32))
