"""What follows from a row of traits on the way back from scores, on the way from the image, and for integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from camgraph_exporter.choose.score import find_score
from camgraph_exporter.graph.traits import Trait, of
from camgraph_exporter.image.stem import first_arithmetic
from camgraph_exporter.layers.box_groups import BoxGroups
from camgraph_exporter.layers.layers import spatial_layers
from camgraph_exporter.prepare.prepare import PreparedModel, prepare
from camgraph_exporter.quantised.forms import quantisation_of
from camgraph_exporter.quantised.unscaled import check_integers
from support import detectors
from support.nets import Net


def prepared_of(model: onnx.ModelProto) -> PreparedModel:
    return prepare(ir.from_proto(model))


@pytest.mark.parametrize("operator", ["Sigmoid", "Sqrt", "Softsign", "Reciprocal"])
def test_boxes_of_two_scales_stay_two_groups_after_a_function_of_each_score(operator: str) -> None:
    net = Net(seed=7)
    rows = [detectors.head(net, x, 3) for x in detectors.backbone(net, 3)[1:]]
    scores = net.node("Sigmoid", net.node("Concat", *rows, axis=1))
    out = net.node(operator, scores, name="scores")
    prepared = prepared_of(net.model(out, shapes={out: ("N", 320, 3)}))
    last = prepared.value("scores")
    assert last is not None
    groups = BoxGroups(prepared, last, find_score(prepared).shape).groups
    assert sorted(group.count or 0 for group in groups) == [64, 256]


@pytest.mark.parametrize("operator", ["Floor", "Round", "Ceil"])
def test_scores_that_are_sorted_and_rounded_are_found_before_the_sorting(operator: str) -> None:
    net = Net()
    probabilities = net.node("Softmax", net.pooled_head(net.conv(net.image(), (3, 8)), 8), axis=1)
    best = net.node("TopK", probabilities, net.ints(3), outputs=2)
    percent = net.node(operator, net.node("Mul", best, net.weight(np.float32(100))))
    out = net.node("Div", percent, net.weight(np.float32(100)), name="best")
    assert find_score(prepared_of(net.model(out, shapes={out: ("N", 3)}))).value.name == "logits"


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes"),
    [
        ("Gather", [np.array([0, 2, 3])], {"axis": 1}),
        ("Compress", [np.array([True, False, True, True, False])], {"axis": 1}),
    ],
)
def test_some_classes_of_a_softmax_are_explained_by_the_same_of_its_scores(
    operator: str, inputs: list[np.ndarray], attributes: dict[str, Any]
) -> None:
    net = Net()
    probabilities = net.node("Softmax", net.pooled_head(net.conv(net.image(), (3, 8)), 8), axis=1)
    out = net.node(operator, probabilities, *map(net.weight, inputs), name="some", **attributes)
    score = find_score(prepared_of(net.model(out, shapes={out: ("N", 3)}))).value
    picked = score.producer()
    assert picked is not None
    assert of(picked).traits & Trait.PICKS
    assert picked.inputs[0] is not None
    assert picked.inputs[0].name == "logits"


@pytest.mark.parametrize("operator", ["Tanh", "Sin", "ThresholdedRelu", "LogSoftmax"])
def test_tokens_before_a_function_of_each_have_no_effect_where_the_class_token_alone_is_read(operator: str) -> None:
    net = Net()
    patches = net.conv(net.image(), (3, 8), kernel=4, strides=[4, 4], pads=[0] * 4, name="patches")
    cells = net.node("Transpose", net.node("Reshape", patches, net.ints(0, 8, -1)), perm=[0, 2, 1])
    # The class token is the mean of the cells, so that the score depends on the map.
    row = net.node("Concat", net.node("ReduceMean", cells, axes=[1], keepdims=1), cells, axis=1, name="row")
    first = net.node("Gather", net.node(operator, row), net.weight(np.array(0)), axis=1)
    prepared = prepared_of(net.model(net.linear(first, 8, 5, name="logits")))
    effects = {layer.name: layer.has_effect for layer in spatial_layers(prepared, find_score(prepared).value)}
    assert effects["patches"]
    assert not effects["row"]


def test_a_grey_image_that_is_repeated_for_three_channels_is_still_scaled_pixel_by_pixel() -> None:
    net = Net()
    colour = net.node("Tile", net.image(("N", 1, 16, 16)), net.ints(1, 3, 1, 1))
    x = net.node("Div", colour, net.weight(np.float32(255)))
    prepared = prepared_of(net.model(net.pooled_head(net.conv(x, (3, 8)), 8)))
    found = first_arithmetic(prepared.image, prepared.probe)
    assert found is not None
    np.testing.assert_allclose(found.scale, [1 / 255])


@pytest.mark.parametrize("operator", ["Transpose", "ReverseSequence", "Compress"])
def test_integers_that_are_moved_stand_for_what_they_stood_for(operator: str) -> None:
    scale, zero = (ir.Value(name=name, shape=ir.Shape([])) for name in ("scale", "zero"))
    q = ir.node("QuantizeLinear", [ir.Value(name="x"), scale, zero]).outputs[0]
    q.dtype = ir.DataType.UINT8
    moved = ir.node(operator, [q, ir.Value(name="which")])
    found = quantisation_of(moved.outputs[0])
    assert found is not None
    assert found.scales == (scale,)
    check_integers([moved], {q})
