"""The float64 evaluator on whole models: conversion, parts of a graph, subgraphs, trained networks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from google.protobuf.message import Message
from onnx import TensorProto

from camgraph_exporter.errors import ExportError, ModelFileError
from camgraph_exporter.float64 import Float64Evaluator, to_float64

NARROW = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16}


def parse(body: str, opset: int = 17, rest: str = "") -> onnx.ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}, "own" : 1]> {body} {rest}')


def with_initializers(model: onnx.ModelProto, **arrays: Any) -> onnx.ModelProto:
    model.graph.initializer.extend(onnx.numpy_helper.from_array(a, n) for n, a in arrays.items())
    return model


def element_types(message: Message) -> Iterator[int]:
    """Every element type that is declared anywhere in a message."""
    for field, value in message.ListFields():
        if field.name in {"data_type", "elem_type"} and isinstance(value, int):
            yield value
        elif field.message_type is not None:
            for item in [value] if isinstance(value, Message) else value:
                yield from element_types(item)


EVERYTHING = """
everything (float16[2] x, bool c) => (float16[2] y, int64[2] z, float[3, 2] r, float s)
{
    k = Constant<value_float = 0.1>()
    ks = Constant<value_floats = [0.1, 0.2]>()
    t1 = Constant<value = float[1] {1.5}>()
    zeros = ConstantOfShape(shape)
    x32 = Cast<to = 1>(x)
    t32 = CastLike(t, x32)
    a = Add(x32, t32)
    b = Mul(a, ks)
    d = Add(b, zeros)
    e = If(c) <
        then_branch = then_graph () => (float[2] u) <float[2] w = {0.1, 0.2}> { u = Add(d, w) },
        else_branch = else_graph () => (float[2] v) { h = Cast<to = 10>(d) v = Cast<to = 1>(h) }
    >
    y = Cast<to = 10>(e)
    z = Cast<to = 7>(e)
    r = RandomNormal<shape = [3, 2]>()
    s = ReduceSum<keepdims = 0>(k)
}
"""


def everything() -> onnx.ModelProto:
    """A model with narrow floats in every place where a model can have them."""
    bfloats = np.array([1, 2], ml_dtypes.bfloat16)
    return with_initializers(parse(EVERYTHING), shape=np.array([2]), t=bfloats, half=np.ones(2, np.float16))


def test_everything_becomes_double_and_the_source_stays() -> None:
    source = everything()
    before = source.SerializeToString()
    converted = to_float64(source)
    assert source.SerializeToString() == before
    assert set(element_types(source)) >= NARROW
    assert not set(element_types(converted)) & NARROW
    feeds = {"x": np.array([1 / 3, 2]), "c": np.array(True)}
    for evaluator in (Float64Evaluator(source), Float64Evaluator(converted, convert=False)):
        y, z, r, s = evaluator.run(None, feeds)
        assert [v.dtype for v in (y, z, r, s)] == [np.float64, np.int64, np.float64, np.float64]
        np.testing.assert_array_equal(z, y.astype(np.int64))
        assert s == np.float32(0.1)


@pytest.mark.parametrize("condition", [True, False])
def test_subgraphs_compute_in_float64(condition: bool) -> None:
    x, tenths = np.array([1 / 3, 2]), np.array([0.1, 0.2], np.float32).astype(np.float64)
    (y,) = Float64Evaluator(everything()).run(["y"], {"x": x, "c": np.array(condition)})
    np.testing.assert_array_equal(y, (x + np.array([1, 2])) * tenths + (tenths if condition else 0))


LOOP = """
loops (float[1, 2, 4] x) => (float[1, 2, 4] y) <int64 n = {3}, bool go = {1}>
{
    y = Loop(n, go, x) <
        body = once (int64 i, bool cond, float[1, 2, 4] a) => (bool still, float[1, 2, 4] b)
        { still = Identity(cond) q = Conv<group = 2, pads = [1, 1]>(a, k) e = Erf(q) b = Add(e, a) }
    >
}
"""


def test_loop_bodies_use_the_own_operators() -> None:
    rng = np.random.default_rng(0)
    model = with_initializers(parse(LOOP), k=rng.standard_normal((2, 1, 3)).astype(np.float32))
    x = rng.standard_normal((1, 2, 4)).astype(np.float32)
    (actual,) = Float64Evaluator(model).run(None, {"x": x})
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    assert actual.dtype == np.float64
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
    (moved,) = Float64Evaluator(model).run(None, {"x": x.astype(np.float64) + 1e-11})
    assert 0 < np.abs(moved - actual).max() < 1e-9


def test_functions_of_the_model_are_inlined() -> None:
    model = parse(
        "calls (float[2] x) => (float[2] y) { y = own.scaled<to_type = 1>(x) }",
        rest="""
        <opset_import: ["" : 17], domain: "own"> scaled <to_type> (a) => (b)
        { k = Constant<value_float = 0.1>() c = Cast<to: int = @to_type>(a) b = Mul(c, k) }
        """,
    )
    (y,) = Float64Evaluator(model).run(None, {"x": np.array([1 / 3, 2], np.float64)})
    np.testing.assert_array_equal(y, np.array([1 / 3, 2]) * np.float64(np.float32(0.1)))


def test_weights_in_an_unloaded_file_are_refused(tmp_path: Path) -> None:
    model = with_initializers(parse("g (float[4] x) => (float[4] y) { y = Add(x, w) }"), w=np.ones(4, np.float32))
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    unloaded = onnx.load(tmp_path / "m.onnx", load_external_data=False)
    for use in (to_float64, Float64Evaluator):
        with pytest.raises(ModelFileError, match="'w' lie in an external file that is not loaded"):
            use(unloaded)
    loaded = onnx.load(tmp_path / "m.onnx")
    np.testing.assert_array_equal(Float64Evaluator(loaded).run(None, {"x": np.zeros(4)})[0], np.ones(4))


CHAIN = """
chain (float[2] x) => (float[2] y, float[2] z)
{ a = Exp(x) b = own.Unknown(a) c = Relu(b) y = Add(c, a) z = Neg(a) }
"""


def test_parts_of_a_graph_run_by_themselves() -> None:
    evaluator = Float64Evaluator(parse(CHAIN))
    x = np.array([0.5, -1])
    (z,) = evaluator.run(["z"], {"x": x})
    np.testing.assert_array_equal(z, -np.exp(x))
    y, c = evaluator.run(["y", "c"], {"b": np.array([-3.0, 4]), "a": np.array([10.0, 20])})
    np.testing.assert_array_equal(y, [10, 24])
    np.testing.assert_array_equal(c, [0, 4])


def test_a_fed_output_stays_where_its_node_runs_for_another() -> None:
    model = parse("g (float[4] x) => (float[2] y) { a, b = Split(x) y = Mul(a, b) }", opset=13)
    x, a = np.arange(4.0), np.array([10.0, 20.0])
    np.testing.assert_array_equal(Float64Evaluator(model).run(["y"], {"x": x, "a": a})[0], [20.0, 60.0])


def test_an_operator_without_implementation_is_named_when_it_is_needed() -> None:
    with pytest.raises(ExportError, match=r"Node 'b' \(own.Unknown\) cannot be evaluated in float64: there is no"):
        Float64Evaluator(parse(CHAIN)).run(["y"], {"x": np.zeros(2)})


def test_a_missing_feed_is_named() -> None:
    with pytest.raises(ExportError, match="The values x are neither fed nor computed"):
        Float64Evaluator(parse(CHAIN)).run(["z"], {})
    with pytest.raises(ExportError, match="The values nowhere are neither"):
        Float64Evaluator(parse(CHAIN)).run(["nowhere"], {"x": np.zeros(2)})


def test_an_optional_output_that_is_not_computed_is_named() -> None:
    """Training statistics of old exports are listed as outputs, and nobody reads them."""
    model = parse(
        "g (float[1, 2] x, float[2] p) => (float[1, 2] y) { y, m = BatchNormalization(x, p, p, p, p) z = Neg(m) }", 9
    )
    feeds = {"x": np.ones((1, 2)), "p": np.ones(2)}
    np.testing.assert_allclose(Float64Evaluator(model).run(None, feeds)[0], 1)
    for name in ("m", "z"):
        with pytest.raises(ExportError, match="The value 'm' is an optional output"):
            Float64Evaluator(model).run([name], feeds)


def test_a_failing_node_is_named() -> None:
    with pytest.raises(ExportError, match=r"Node 'z' \(Add\) cannot be evaluated"):
        Float64Evaluator(parse("g (float[n] x, float[m] w) => (float[n] z) { z = Add(x, w) }")).run(
            None, {"x": np.zeros(2), "w": np.zeros(3)}
        )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ml_dtypes.bfloat16])
def test_narrow_feeds_become_float64(dtype: Any) -> None:
    (z,) = Float64Evaluator(parse(CHAIN)).run(["z"], {"x": np.ones(2, dtype)})
    assert z.dtype == np.float64
    np.testing.assert_array_equal(z, -np.exp([1.0, 1.0]))


def test_a_feed_overrides_an_initializer_of_the_same_name() -> None:
    model = with_initializers(
        parse("g (float[2] x, float[2] w) => (float[2] y) { y = Add(x, w) }"), w=np.ones(2, np.float32)
    )
    evaluator = Float64Evaluator(model)
    assert (evaluator.input_names, evaluator.output_names) == (["x"], ["y"])
    np.testing.assert_array_equal(evaluator.run(None, {"x": np.zeros(2)})[0], [1, 1])
    np.testing.assert_array_equal(evaluator.run(None, {"x": np.zeros(2), "w": np.full(2, 5.0)})[0], [5, 5])


FLOAT_MODELS = {
    "cifar10_resnet20": 1e-5,
    "efficientnet_lite0": 1e-5,
    "mnist01_lenet_fc_opset11": 1e-5,
    "pplcnet_doc_orientation": 1e-5,
    # A sigmoid at the end, whose small values magnify the float32 error of its argument.
    "selfie_segmentation": 1e-3,
    "squeezenet1_1": 1e-5,
    "vww_mobilenetv1_float": 1e-5,
}


def run_both(path: Path) -> tuple[list[Any], list[Any]]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    source = session.get_inputs()[0]
    shape = [d if isinstance(d, int) else 2 for d in source.shape]
    feeds = {source.name: np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
    return Float64Evaluator(onnx.load(path)).run(None, feeds), session.run(None, feeds)


@pytest.mark.parametrize("name", FLOAT_MODELS)
def test_trained_models_agree_with_onnxruntime(shared: Path, name: str) -> None:
    for actual, expected in zip(*run_both(shared / "models" / f"{name}.onnx"), strict=True):
        assert actual.dtype == np.float64
        assert np.abs(actual - expected).max() <= FLOAT_MODELS[name] * np.abs(expected).max()


def test_an_int8_model_agrees_up_to_its_rounding(shared: Path) -> None:
    """Ties between two integers fall differently in float32, and each level of onnxruntime differs, too."""
    (actual,), (expected,) = run_both(shared / "models" / "efficientnet_lite0_int8_qdq.onnx")
    assert actual.dtype == np.float64
    assert np.corrcoef(actual.ravel(), expected.ravel())[0, 1] > 0.999
    steps = actual / (actual[actual != 0].flat[0] / np.rint(actual[actual != 0].flat[0] / 0.06869149))
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-9)


def test_derivatives_by_differences_have_ten_digits(shared: Path) -> None:
    """What the evaluator is for: a central difference that float32 would drown in noise."""
    model = onnx.load(shared / "models" / "cifar10_resnet20.onnx")
    evaluator, rng = Float64Evaluator(model), np.random.default_rng(3)
    layer = "/layer3/layer3.2/Relu_1_output_0"
    (activations,) = evaluator.run([layer], {"input": rng.standard_normal((1, 3, 32, 32))})
    direction = rng.standard_normal(activations.shape)

    def slope(step: float) -> Any:
        high, low = (evaluator.run(["logits"], {layer: activations + s * step * direction})[0] for s in (1, -1))
        return (high - low) / (2 * step)

    # A mean and a linear layer follow, so that every step gives the same slope.
    np.testing.assert_allclose(slope(1e-3), slope(1e-1), rtol=1e-10, atol=1e-12)
