"""What follows from a row of traits, in models: which maps end a block, what still is the image, what is a layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from camgraph_exporter.choose.layers import candidate_layers
from camgraph_exporter.choose.score import find_score
from camgraph_exporter.graph.traits import OPERATORS, Trait
from camgraph_exporter.image.layout import channel_axis
from camgraph_exporter.layers.cost import macs
from camgraph_exporter.layers.layers import spatial_layers
from camgraph_exporter.prepare.prepare import prepare
from camgraph_exporter.quantised.ranges import range_of
from support.nets import Net

# What an operator needs beside the map of 8 channels; most need nothing.
MORE: dict[str, tuple[Callable[[Net], list[str]], dict[str, Any]]] = {
    "PRelu": (lambda net: [net.weight(np.full((8, 1, 1), 0.1, np.float32))], {}),
    "BatchNormalization": (lambda net: [net.weight(np.full(8, i, np.float32)) for i in (2, 0, 0, 1)], {}),
    "InstanceNormalization": (lambda net: [net.weight(np.full(8, i, np.float32)) for i in (2, 1)], {}),
    "GroupNormalization": (lambda net: [net.weight(np.full(8, i, np.float32)) for i in (2, 1)], {"num_groups": 2}),
    "LayerNormalization": (lambda net: [net.weight(np.ones(16, np.float32))], {}),
    "RMSNormalization": (lambda net: [net.weight(np.ones(16, np.float32))], {}),
    "LRN": (lambda _: [], {"size": 3}),
    "LpNormalization": (lambda _: [], {"axis": 1}),
}
AFTER_A_LAYER = [
    row.name for row in OPERATORS.values() if not row.domain and row.traits & (Trait.ACTIVATION | Trait.NORMALISES)
]


def ends_of(model: onnx.ModelProto) -> list[str]:
    prepared = prepare(ir.from_proto(model))
    return [layer.name for layer in candidate_layers(prepared, find_score(prepared))]


def layers_of(model: onnx.ModelProto) -> list[str]:
    prepared = prepare(ir.from_proto(model))
    return [layer.name for layer in spatial_layers(prepared, find_score(prepared).value)]


@pytest.mark.parametrize("operator", AFTER_A_LAYER)
def test_a_map_before_an_activation_or_a_normalisation_does_not_end_a_block(operator: str) -> None:
    net = Net(opset=24, ir_version=10)
    inputs, attributes = MORE.get(operator, (lambda _: [], {}))
    x = net.conv(net.image(), (3, 8), name="before")
    x = net.node(operator, x, *inputs(net), name="after", **attributes)
    model = net.model(net.pooled_head(net.conv(x, (8, 8), name="last"), 8))
    assert ends_of(model) == ["after", "last"]


@pytest.mark.parametrize("operator", ["Neg", "Sqrt", "Exp", "Relu", "BatchNormalization"])
def test_an_image_that_is_rescaled_pixel_by_pixel_is_not_a_layer(operator: str) -> None:
    net = Net()
    more = [net.weight(np.full(3, i, np.float32)) for i in (2, 0, 0, 1)] if operator == "BatchNormalization" else []
    x = net.node(operator, net.image(), *more, name="rescaled")
    model = net.model(net.pooled_head(net.conv(x, (3, 8), name="map"), 8))
    assert layers_of(model) == ["map"]


def test_an_unpooled_map_is_a_layer() -> None:
    net = Net()
    pooled = net.node(
        "MaxPool", net.conv(net.image(), (3, 8), name="map"), outputs=2, kernel_shape=[2, 2], strides=[2, 2]
    )
    x = net.node("MaxUnpool", pooled, f"{pooled}:1", name="unpooled", kernel_shape=[2, 2], strides=[2, 2])
    model = net.model(net.pooled_head(net.conv(x, (8, 8), name="last"), 8))
    assert "unpooled" in layers_of(model)


@pytest.mark.parametrize("operator", ["Log", "Not", "Abs", "Tanh"])
def test_a_convolution_tells_the_channels_through_functions_of_each_pixel(operator: str) -> None:
    net = Net()
    x = net.node("Transpose", net.image(("N", 4, 16, 4)), perm=[0, 3, 1, 2])
    x = (
        net.node("Cast", net.node(operator, net.node("Cast", x, to=9)), to=1)
        if operator == "Not"
        else net.node(operator, x)
    )
    model = ir.from_proto(net.model(net.pooled_head(net.conv(x, (4, 8)), 8)))
    assert channel_axis(model.graph.inputs[0]) == 3


def test_features_are_told_from_scores_by_any_rectifier() -> None:
    net = Net()
    pooled = net.node("Flatten", net.node("GlobalAveragePool", net.conv(net.image(), (3, 8))), axis=1)
    first = net.node("HardSwish", net.linear(pooled, 8, 5), name="first")
    model = net.model(first, net.linear(pooled, 8, 5, name="second"))
    assert find_score(prepare(ir.from_proto(model))).output.name == "second"


def value(*shape: int) -> ir.Value:
    return ir.Value(shape=ir.Shape(shape), type=ir.TensorType(ir.DataType.FLOAT))


@pytest.mark.parametrize("operator", [("", "ConvInteger"), ("com.microsoft", "FusedConv"), ("", "Conv")])
def test_every_convolution_costs_what_a_convolution_costs(operator: tuple[str, str]) -> None:
    domain, name = operator
    node = ir.node(name, [value(1, 3, 8, 8), value(4, 3, 3, 3)], domain=domain, outputs=[value(1, 4, 6, 6)])
    assert macs(node) == 6 * 6 * 4 * 3 * 3 * 3


@pytest.mark.parametrize(
    ("operator", "bounds"),
    [("Cos", (-1, 1)), ("LogSoftmax", (-math.inf, 0)), ("ReduceL2", (0, math.inf)), ("Sinh", (-math.inf, math.inf))],
)
def test_a_bounded_operator_bounds_its_values(operator: str, bounds: tuple[float, float]) -> None:
    node = ir.node(operator, [value(2, 3)])
    assert range_of(node.outputs[0], lambda _: None) == bounds


def test_the_mean_of_bounded_maps_is_bounded() -> None:
    gates = [ir.node("Sigmoid", [value(2, 3)]).outputs[0], ir.node("Tanh", [value(2, 3)]).outputs[0]]
    assert range_of(ir.node("Mean", gates).outputs[0], lambda _: None) == (-1, 1)
