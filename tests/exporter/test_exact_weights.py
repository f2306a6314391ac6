"""How 8-bit weights are stored: so that onnxruntime's exact kernels take every spelling, for the same numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from camgraph_exporter.float64 import Float64Evaluator
from camgraph_exporter.graph.passes import notes_of
from camgraph_exporter.quantised.exact_weights import StoreExactlyPass
from camgraph_runtime.run.engine import Engine
from camgraph_runtime.run.int8 import EXACT_KERNELS

Arrays = dict[str, np.ndarray]

MAPS, ROWS = (2, 8, 6, 6), (4, 8)
_RNG = np.random.default_rng(0)


def _int8(*shape: int) -> np.ndarray:
    return _RNG.integers(-127, 128, shape).astype(np.int8)


COMMON: Arrays = {
    "s": np.float32(0.02), "z": np.uint8(128), "so": np.float32(1), "sw": np.float32(0.02),
    "za": np.int8(3), "zb": np.int8(3), "zi": np.int8(0), "scales": np.linspace(0.01, 0.03, 8, dtype=np.float32),
    "blocks": np.full((2, 8), 0.02, np.float32), "zeros": np.zeros(8, np.int8),
    "k": _int8(8, 8, 3, 3), "l": _int8(8, 8, 3, 3), "m": _int8(8, 8), "n": _int8(8, 8),
    "small": (_int8(8, 8) // 4).astype(np.int8),
}  # fmt: skip  # a table, in rows of its own
CONV = "QLinearConv <pads = [1, 1, 1, 1]>"


@dataclass(frozen=True)
class Case:
    """A graph from x to y.

    `unsigned`: weights that become uint8. `step`: what one integer of y stands for; zero where y is exact. `reference`:
    the same graph in operators that the evaluator has.
    """

    body: str
    unsigned: tuple[str, ...] = ()
    opset: int = 17
    shape: tuple[int, ...] = MAPS
    kind: str = "uint8"
    result: str = ""
    step: float = 0.0
    reference: str = ""


def _qdq(first: str, second: str, op: str = "Conv <pads = [1, 1, 1, 1]>", z: str = "z") -> str:
    return f"""
        xq = QuantizeLinear (x, s, {z})  xd = DequantizeLinear (xq, s, {z})
        {first}  c1 = {op} (xd, d1)  q1 = QuantizeLinear (c1, so, {z})  e1 = DequantizeLinear (q1, so, {z})
        {second}  c2 = {op} (e1, {"d2" if second else "d1"})  q2 = QuantizeLinear (c2, so, {z})
        y = DequantizeLinear (q2, so, {z})
    """


def _real(body: str, shape: tuple[int, ...] = MAPS, opset: int = 17, unsigned: tuple[str, ...] = ()) -> Case:
    return Case(body, unsigned, opset, shape, "float", "float", step=1.0)


def _weights(name: str, weights: str, scale: str, zero_point: str = "", attributes: str = "") -> str:
    return f"{name} = DequantizeLinear {attributes} ({weights}, {scale}{', ' * bool(zero_point)}{zero_point})"


CASES = {
    "own zero points": Case(f"h = {CONV} (x, s, z, k, sw, za, so, z)  y = {CONV} (h, s, z, l, sw, zb, so, z)"),
    "a shared zero point": Case(f"h = {CONV} (x, s, z, k, sw, za, so, z)  y = {CONV} (h, s, z, l, sw, za, so, z)"),
    "shared weights": Case(f"h = {CONV} (x, s, z, k, sw, za, so, z)  y = {CONV} (h, s, z, k, sw, zb, so, z)", ("k",)),
    "all shared": Case(f"h = {CONV} (x, s, z, k, sw, za, so, z)  y = {CONV} (h, s, z, k, sw, za, so, z)", ("k",)),
    "matrices": Case(
        "h = QLinearMatMul (x, s, z, m, sw, za, so, z)  y = QLinearMatMul (h, s, z, n, sw, za, so, z)", shape=ROWS
    ),
    "matrices that are overlooked": Case(
        "h = QLinearMatMul (x, s, z, m, sw, za, so, z)  y = QLinearMatMul (h, s, z, n, sw, za, so, z)",
        ("m", "n"), opset=21, shape=ROWS,
    ),
    "small weights, which nothing changes": Case(
        "h = QLinearMatMul (x, s, z, small, sw, za, so, z)  y = QLinearMatMul (h, s, z, small, sw, za, so, z)",
        opset=21, shape=ROWS,
    ),
    "QGemm": Case(
        "h = com.microsoft.QGemm (x, s, z, m, sw, za, , so, z)  y = com.microsoft.QGemm (h, s, z, n, sw, za, , so, z)",
        shape=ROWS,
        reference="h = QLinearMatMul (x, s, z, m, sw, za, so, z)  y = QLinearMatMul (h, s, z, n, sw, za, so, z)",
    ),
    "integer sums": Case("a = MatMulInteger (x, m, z, za)  b = MatMulInteger (x, n, z, za)  y = Add (a, b)",
        shape=ROWS, result="int32"),
    "integer sums of shared weights": Case("a = MatMulInteger (x, m, z, za)  b = MatMulInteger (x, m)  y = Add (a, b)",
        ("m",), shape=ROWS, result="int32"),
    "QDQ, a shared zero point": _real(_qdq(_weights("d1", "k", "sw", "za"), _weights("d2", "l", "sw", "za"))),
    "QDQ, shared weights": _real(
        _qdq(_weights("d1", "k", "sw", "za"), _weights("d2", "k", "sw", "zb")), unsigned=("k",)
    ),
    "QDQ, a shared dequantiser": _real(_qdq(_weights("d1", "k", "sw", "za"), ""), unsigned=("k",)),
    "QDQ, a shared dequantiser per channel": _real(
        _qdq(_weights("d1", "k", "scales", "", "<axis = 0>"), ""), unsigned=("k",)
    ),
    "QDQ, int8 activations and one zero point": _real(
        _qdq(_weights("d1", "k", "sw", "zi"), _weights("d2", "l", "sw", "zi"), z="zi")
    ),
    "QDQ per channel, zero points left out": _real(
        _qdq(_weights("d1", "k", "scales", "", "<axis = 0>"), _weights("d2", "l", "scales", "", "<axis = 0>"))
    ),
    "QDQ per channel, shared zero points": _real(
        _qdq(*(_weights(d, w, "scales", "zeros", "<axis = 0>") for d, w in (("d1", "k"), ("d2", "l")))), opset=21
    ),
    "QDQ in blocks": _real(
        _qdq(*(_weights(d, w, "blocks", "", "<axis = 0, block_size = 4>") for d, w in (("d1", "m"), ("d2", "n"))),
             op="MatMul"), ROWS, 21,
    ),
    "QDQ, Gemm of opset 25": _real(
        _qdq(_weights("d1", "m", "sw", "za"), _weights("d2", "n", "sw", "za"), op="Gemm"), ROWS, 25
    ),
}  # fmt: skip  # a table, in rows of its own


def _model(case: Case) -> onnx.ModelProto:
    shape = ", ".join(map(str, case.shape))
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : {case.opset}, "com.microsoft" : 1]> '
        f"g ({case.kind}[{shape}] x) => ({case.result or case.kind}[{shape}] y) {{ {case.body} }}"
    )
    used = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), n) for n, a in COMMON.items() if n in used)
    return model


def _image(case: Case) -> np.ndarray:
    rng = np.random.default_rng(1)
    if case.kind == "float":
        return rng.standard_normal(case.shape).astype(np.float32)
    return rng.integers(0, 256, case.shape).astype(np.uint8)


@pytest.mark.parametrize("name", CASES)
def test_exact_kernels_take_the_weights_and_give_the_standards_integers(name: str) -> None:
    case = CASES[name]
    source = _model(case)
    model = ir.from_proto(source)
    StoreExactlyPass()(model)
    stored = ir.to_proto(model)
    onnx.checker.check_model(stored, full_check=True)
    found = Engine(stored.SerializeToString(), session_config=EXACT_KERNELS).run({"x": _image(case)})["y"]
    reference = _model(replace(case, body=case.reference)) if case.reference else source
    wanted = Float64Evaluator(reference).run(["y"], {"x": _image(case)})[0]
    # Where real numbers are rounded, those of onnxruntime are float32; saturation makes dozens of steps.
    assert np.abs(found.astype(np.float64) - wanted).max() <= case.step


@pytest.mark.parametrize("name", CASES)
def test_weights_are_kept_once_and_a_note_names_those_that_changed(name: str) -> None:
    case = CASES[name]
    model = ir.from_proto(_model(case))
    before = {key: value.const_value.nbytes for key, value in model.graph.initializers.items() if value.const_value}
    StoreExactlyPass()(model)
    [note] = notes_of(model) or [""]
    after = {key: value.const_value.nbytes for key, value in model.graph.initializers.items() if value.const_value}
    large = [size for size in before.values() if size >= 64]
    assert sorted(size for size in after.values() if size >= 64) == sorted(large), "one copy of the weights"
    assert [weights for weights in before if f"'{weights}'" in note] == list(case.unsigned)
    assert [weights for weights in ("k", "l", "m", "n") if weights in before and weights not in after] == list(
        case.unsigned
    )
