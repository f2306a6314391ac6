"""The float64 evaluator's operators: equal to onnxruntime, but in float64 throughout."""

from collections.abc import Callable, Mapping
from typing import Any

import mpmath
import numpy as np
import onnx
import onnxruntime
import pytest
from float64_cases import CONVOLUTIONS, POOLINGS, Array, Case
from float64_image_cases import MOVEMENTS, RESIZES, SAMPLINGS
from float64_math_cases import ACTIVATIONS, ARITHMETIC, ATTENTIONS, NORMALISATIONS, RECURRENCES
from float64_quant_cases import QUANTISATIONS

from camgraph_exporter.float64.evaluator import OPERATORS, Float64Evaluator
from camgraph_runtime.run.int8 import EXACT_KERNELS

CASES = [
    *CONVOLUTIONS,
    *POOLINGS,
    *NORMALISATIONS,
    *ACTIVATIONS,
    *ARITHMETIC,
    *MOVEMENTS,
    *RESIZES,
    *SAMPLINGS,
    *ATTENTIONS,
    *RECURRENCES,
    *QUANTISATIONS,
]
SMOOTH = [case for case in CASES if case.smooth]


def build(case: Case) -> onnx.ModelProto:
    """A model of the case's one node."""
    arrays = case.arrays()
    names = ["" if a is None else f"in{i}" for i, a in enumerate(arrays)]
    node = onnx.helper.make_node(
        case.op, names, [f"out{i}" for i in range(case.outputs)], name="under_test", **case.attributes
    )
    inputs = [
        onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for n, a in zip(names, arrays, strict=True)
        if a is not None
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output]
    graph = onnx.helper.make_graph([node], "case", inputs, outputs)
    return onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", case.opset)], ir_version=min(10, onnx.IR_VERSION)
    )


def feeds_of(case: Case) -> dict[str, Array]:
    return {f"in{i}": a for i, a in enumerate(case.arrays()) if a is not None}


def run_onnxruntime(model: onnx.ModelProto, feeds: dict[str, Array]) -> list[Array]:
    """Runs a model with kernels that compute the standard's integers, also where the CPU's default ones saturate.

    They take weights that are constants.
    """
    takes_weights = model.graph.node[0].op_type == "QLinearConv"
    constant = onnx.ModelProto()
    constant.CopyFrom(model)
    inputs = [info for info in model.graph.input if not takes_weights or info.name == "in0"]
    del constant.graph.input[:]
    constant.graph.input.extend(inputs)
    names = [info.name for info in inputs]
    constant.graph.initializer.extend(onnx.numpy_helper.from_array(a, n) for n, a in feeds.items() if n not in names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    for key, value in EXACT_KERNELS.items():
        options.add_session_config_entry(key, value)
    session = onnxruntime.InferenceSession(constant.SerializeToString(), options, ["CPUExecutionProvider"])
    return session.run(None, {name: feeds[name] for name in names})


def assert_close(actual: Array, expected: Array, relative: float) -> None:
    """Compares against the largest element, as gradients and scores are compared, too."""
    assert actual.shape == expected.shape
    scale = max(1e-30, float(np.abs(expected[np.isfinite(expected)]).max(initial=0)))
    np.testing.assert_allclose(actual / scale, expected / scale, rtol=0, atol=relative)


def test_every_own_operator_has_cases() -> None:
    assert {operator.__name__ for operator in OPERATORS} <= {case.op for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_agrees_with_onnxruntime(case: Case) -> None:
    model, feeds = build(case), feeds_of(case)
    expected = run_onnxruntime(model, feeds)
    actual = Float64Evaluator(model).run(None, feeds)
    for a, e in zip(actual, expected, strict=True):
        if np.issubdtype(e.dtype, np.floating):
            assert a.dtype == np.float64
            assert_close(a, e.astype(np.float64), 1e-5)
        else:
            assert a.dtype == e.dtype
            np.testing.assert_array_equal(a, e)


def fourth_difference(run: Callable[[Mapping[str, Array]], list[Array]], case: Case) -> float:
    """The largest fourth difference of the outputs along one direction, relative to the largest output.

    At a step of 1e-5 that of a smooth function vanishes, while a detour through float32 leaves about 1e-7.
    """
    feeds, rng = feeds_of(case), np.random.default_rng(7)
    directions = {name: rng.uniform(-1e-5, 1e-5, feeds[name].shape) for name in sorted(case.random())}
    total: list[Any] = [0.0] * case.outputs
    for step, share in ((-2, 1), (-1, -4), (0, 6), (1, -4), (2, 1)):
        values = run({**feeds, **{n: feeds[n] + step * d for n, d in directions.items()}})
        total = [t + share * v for t, v in zip(total, values, strict=True)]
    floating = [i for i, v in enumerate(values) if np.issubdtype(v.dtype, np.floating)]
    scale = max(1.0, *(np.abs(values[i]).max(initial=0) for i in floating))
    return max(float(np.abs(total[i]).max(initial=0)) / scale for i in floating)


@pytest.mark.parametrize("case", SMOOTH, ids=lambda c: c.name)
def test_is_float64_throughout(case: Case) -> None:
    evaluator = Float64Evaluator(build(case))
    assert fourth_difference(lambda feeds: evaluator.run(None, feeds), case) <= 1e-12


def test_a_detour_through_float32_is_noticed() -> None:
    case = Case("Sigmoid", ((3, 4),))

    def rounded(feeds: Mapping[str, Array]) -> list[Array]:
        return [(1 / (1 + np.exp(-feeds["in0"].astype(np.float32)))).astype(np.float64)]

    assert fourth_difference(rounded, case) > 1e-9


# Its function body has a float64 constant, and `onnx.reference` wants all operands of one type.
WIDER = [case for case in SMOOTH if case.op != "MeanVarianceNormalization"]


@pytest.mark.parametrize("case", WIDER, ids=lambda c: c.name)
def test_agrees_with_extended_precision(case: Case) -> None:
    evaluator, feeds = Float64Evaluator(build(case)), feeds_of(case)
    wide = {n: a.astype(np.longdouble) if a.dtype == np.float32 else a for n, a in feeds.items()}
    for value, exact in zip(evaluator.run(None, feeds), evaluator.run(None, wide), strict=True):
        if value.dtype == np.float64:
            assert_close(value, exact, 1e-14)


_X = np.array([-30.0, -8.5, -3.0, -1.0, -1e-9, 0.0, 0.3, 1.0, 2.999, 5.0, 20.0])


def tanh_gelu(x: Any) -> Any:
    inner = mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3)
    return x * (1 + mpmath.tanh(inner)) / 2


EXACT: dict[str, tuple[int, dict[str, str], Callable[[Any], Any]]] = {
    "Erf": (13, {}, mpmath.erf),
    "Gelu": (20, {"approximate": "none"}, lambda x: x * mpmath.ncdf(x)),
    "Gelu-tanh": (20, {"approximate": "tanh"}, tanh_gelu),
    "HardSwish": (14, {}, lambda x: x * min(max(x / 6 + mpmath.mpf(0.5), 0), 1)),
    "Mish": (18, {}, lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x)))),
    "Sigmoid": (13, {}, lambda x: 1 / (1 + mpmath.exp(-x))),
    "Softplus": (1, {}, lambda x: mpmath.log1p(mpmath.exp(x))),
    "Elu": (6, {}, lambda x: x if x > 0 else mpmath.expm1(x)),
}


@pytest.mark.parametrize("name", EXACT)
def test_elementwise_functions_are_exact(name: str) -> None:
    opset, attributes, function = EXACT[name]
    case = Case(name.split("-", maxsplit=1)[0], (_X.astype(np.float32),), dict(attributes), opset)
    (actual,) = Float64Evaluator(build(case)).run(None, {"in0": _X})
    with mpmath.workdps(40):
        expected = np.array([float(function(mpmath.mpf(x))) for x in _X])
    np.testing.assert_allclose(actual, expected, rtol=1e-14, atol=1e-14)


def test_softmax_and_its_logarithm_stay_finite_far_from_the_maximum() -> None:
    x = np.array([[0.0, -1000.0, 3.0]])
    case = Case("LogSoftmax", (x.astype(np.float32),), {}, 13)
    (actual,) = Float64Evaluator(build(case)).run(None, {"in0": x})
    with mpmath.workdps(40):
        total = mpmath.log(sum(mpmath.exp(v) for v in x[0]))
        expected = [float(mpmath.mpf(v) - total) for v in x[0]]
    np.testing.assert_allclose(actual[0], expected, rtol=1e-14)


def test_an_even_lrn_window_reaches_further_up() -> None:
    """onnxruntime takes odd sizes only; the standard puts floor((size - 1) / 2) channels below."""
    x = np.random.default_rng(0).standard_normal((2, 7, 3, 3))
    case = Case("LRN", (x.astype(np.float32),), {"size": 4, "alpha": 0.5, "beta": 0.75, "bias": 1.0})
    (actual,) = Float64Evaluator(build(case)).run(None, {"in0": x})
    for c in range(7):
        total = (x[:, max(0, c - 1) : c + 3] ** 2).sum(axis=1)
        np.testing.assert_allclose(actual[:, c], x[:, c] / (1 + 0.125 * total) ** 0.75, rtol=1e-14)
