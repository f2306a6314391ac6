"""Poolings that round their size up: the source's numbers stay, in every opset, and the gradients are right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from support.exporting import exported, images, run_graph
from support.nets import Net

# Attributes beside ceil_mode, on a map of 8 x 8 cells. D: the last window would start in the padding and is left out.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "max, D": ("MaxPool", {"kernel_shape": [3, 3], "strides": [3, 3], "pads": [1] * 4}),
    "max, D in one axis": ("MaxPool", {"kernel_shape": [3, 2], "strides": [3, 3], "pads": [1, 0, 1, 0]}),
    "max, D by odd pads": ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 1, 1]}),
    "max, D and overhang": ("MaxPool", {"kernel_shape": [3, 4], "strides": [3, 3], "pads": [1, 0, 1, 0]}),
    "max, D with gaps": ("MaxPool", {"kernel_shape": [1, 1], "strides": [3, 3], "pads": [0] * 4}),
    "max, D dilated": ("MaxPool", {"kernel_shape": [2, 2], "strides": [5, 5], "dilations": [2, 2], "pads": [1] * 4}),
    "max, overhang alone": ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2]}),
    "average, D": ("AveragePool", {"kernel_shape": [3, 3], "strides": [3, 3], "pads": [1] * 4}),
    "average, D, padding counts": (
        "AveragePool", {"kernel_shape": [3, 3], "strides": [3, 3], "pads": [1] * 4, "count_include_pad": 1}),
    "average, D and overhang, padding counts": (
        "AveragePool", {"kernel_shape": [3, 4], "strides": [3, 3], "pads": [1, 0, 1, 0], "count_include_pad": 1}),
    "average, D by odd pads": ("AveragePool", {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 1, 1]}),
    "norm, D": ("LpPool", {"kernel_shape": [3, 3], "strides": [3, 3], "pads": [1] * 4, "p": 2}),
}  # fmt: skip  # a table, in rows of its own


def _model(operator: str, attributes: dict[str, Any], opset: int) -> onnx.ModelProto:
    """The gradient varies over the map: the pooled map is squared."""
    net = Net(opset=opset, ir_version=10)
    layer = net.node("Relu", net.conv(net.image(("N", 3, 16, 16)), (3, 4), strides=[2, 2]), name="layer")
    pooled = net.node(operator, layer, ceil_mode=1, **attributes)
    return net.model(net.pooled_head(net.node("Mul", pooled, pooled), 4))


@pytest.mark.parametrize("opset", [13, 19, 21, 22])
@pytest.mark.parametrize("name", CASES)
def test_a_pooling_that_rounds_up_is_explained(name: str, opset: int, tmp_path: Path) -> None:
    operator, attributes = CASES[name]
    if operator == "LpPool" and opset < 18:
        pytest.skip("LpPool rounds up from opset 18 on")
    made = exported(_model(operator, attributes, opset), tmp_path, layers=("layer",), gradients=True)
    assert made.manifest.certificate.passed
    image = images((2, 3, 16, 16))
    bare = onnxruntime.InferenceSession(str(tmp_path / "source.onnx"), providers=["CPUExecutionProvider"])
    [expected] = bare.run(["logits"], {"image": image})
    found = run_graph(tmp_path / "cam.onnx", image, [0, 1])
    np.testing.assert_array_equal(found["logits"], expected)


def test_a_signal_of_one_axis_is_pooled_too(tmp_path: Path) -> None:
    """Rows of the map are pooled one by one, as in recognisers of text."""
    net = Net()
    layer = net.node("Relu", net.conv(net.image(("N", 3, 16, 16)), (3, 4), strides=[2, 2]), name="layer")
    signal = net.node("Reshape", layer, net.ints(0, 32, 8))
    attributes = {"kernel_shape": [3], "strides": [3], "pads": [1, 1]}
    parts = [net.node(operator, signal, ceil_mode=1, **attributes) for operator in ("MaxPool", "AveragePool")]
    rows = net.node("ReduceMean", net.node("Mul", *parts), axes=[2], keepdims=0)
    made = exported(net.model(net.linear(rows, 32, 5, name="logits")), tmp_path, layers=("layer",), gradients=True)
    assert made.manifest.certificate.passed
