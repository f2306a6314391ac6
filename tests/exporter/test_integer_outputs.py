"""A model whose output holds integers: probabilities and scores are those of the numbers that these stand for."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidGraphError
from camgraph_exporter import Input, export
from camgraph_runtime import Explainer
from camgraph_runtime.tasks.head_scores import shown_probabilities

CLASSES = 5
KINDS = {np.int8: TensorProto.INT8, np.uint8: TensorProto.UINT8}

# What follows the scores; how the result is quantised; the function that it shows, and that of the probabilities.
CASES = {
    "softmax to int8": ("Softmax", np.int8, 1 / 256, -128),
    "softmax to uint8": ("Softmax", np.uint8, 1 / 255, 0),
    "sigmoid to int8": ("Sigmoid", np.int8, 1 / 256, -128),
    "scores to int8": ("Identity", np.int8, 0.1, 3),
}
FUNCTIONS = {
    "Softmax": lambda y: np.exp(y - y.max()) / np.exp(y - y.max()).sum(),
    "Sigmoid": lambda y: 1 / (1 + np.exp(-y)),
    "Identity": lambda y: y,
}


def model(rng, function, kind, scale, zero_point):
    constants = {
        "w": rng.normal(0, 0.3, (8, 3, 3, 3)).astype(np.float32),
        "classes": rng.normal(0, 3, (8, CLASSES)).astype(np.float32),
        "scale": np.float32(scale),
        "zero_point": np.array(zero_point, kind),
    }
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "classes"], ["y"]),
        helper.make_node(function, ["y"], ["real"]),
        helper.make_node("QuantizeLinear", ["real", "scale", "zero_point"], ["out"]),
        helper.make_node("Reshape", ["out", "shape"], ["moved"]),
    ]
    constants["shape"] = np.array([-1, CLASSES], np.int64)
    graph = helper.make_graph(
        nodes,
        "integers",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 16, 16])],
        [helper.make_tensor_value_info("moved", KINDS[kind], ["N", CLASSES])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), constants


def scores_of(image, constants):
    """The scores y, by NumPy: mean of ReLU of a convolution, times the classes."""
    padded = np.pad(image[0].astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    maps = np.einsum("chwij,kcij->khw", windows, constants["w"].astype(np.float64))
    return np.maximum(maps, 0).mean(axis=(1, 2)) @ constants["classes"].astype(np.float64)


@pytest.mark.parametrize(("function", "kind", "scale", "zero_point"), CASES.values(), ids=CASES)
def test_integers_are_read_as_what_they_stand_for(tmp_path, function, kind, scale, zero_point):
    rng = np.random.default_rng(5)
    source, constants = model(rng, function, kind, scale, zero_point)
    onnx.save(source, tmp_path / "integers.onnx")
    export(tmp_path / "integers.onnx", tmp_path / "integers.cam.onnx", input=Input(divisor=1, mean=(0,), std=(1,)))
    image = rng.random((1, 3, 16, 16), np.float32)
    with Explainer(tmp_path / "integers.cam.onnx") as explainer:
        result = explainer.explain(tensor=image, top_k=1, num_predictions=CLASSES)
    y = scores_of(image, constants)
    wanted = FUNCTIONS["Softmax" if function == "Identity" else function](y)
    found = {prediction.class_index: prediction for prediction in result.predictions}
    # The output is exact to half a step; a softmax of rounded scores moves a probability by half a step at most, too.
    assert [found[c].probability for c in range(CLASSES)] == pytest.approx(wanted, abs=scale * 0.51)
    best = result.explanations[0].target
    assert best.score == pytest.approx(y[best.class_index], abs=scale * 0.51 if function == "Identity" else 1e-5)


@pytest.mark.parametrize("values", [[0.2, 104.0], [-0.5, 0.5]])
def test_numbers_outside_0_to_1_are_no_probabilities(values):
    head = pb.Head(kind=pb.HEAD_KIND_SOFTMAX, output_name="out", score_tensor="y", num_classes=2)
    with pytest.raises(InvalidGraphError, match=r"'out' should show probabilities in 0\.\.1"):
        shown_probabilities(np.array(values), head)
