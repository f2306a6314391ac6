"""Models that round, compare or pick on the way from the image: layers after that are explained.

No gradient passes such steps, but none is needed: a heatmap takes the gradient at its layer, and the layer's place.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph_exporter.errors import GradientError, LayerError
from support.exporting import exported, images, in_memory, run_graph
from support.nets import Net, trunk

_FLOAT, _INT64, _UINT8 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.UINT8
Front = Callable[[Net, str], str]
Same = Callable[[np.ndarray], np.ndarray]


def _number(net: Net, number: float, dtype: type[np.generic] = np.float32) -> str:
    return net.weight(dtype(number))


def _rounded(net: Net, x: str) -> str:
    return net.node("Round", x)


def _steps_of_a_quarter(net: Net, x: str) -> str:
    return net.node("Div", net.node("Ceil", net.node("Mul", x, _number(net, 4))), _number(net, 4))


def _there_and_back(net: Net, x: str) -> str:
    whole = net.node("Cast", net.node("Mul", x, _number(net, 10)), to=_INT64)
    return net.node("Cast", net.node("Mul", whole, _number(net, 3, np.int64)), to=_FLOAT)


def _stored_as_bytes(net: Net, x: str) -> str:
    steps = net.node("Round", net.node("Add", net.node("Mul", x, _number(net, 20)), _number(net, 100)))
    stored = net.node("Cast", net.node("Clip", steps, _number(net, 0), _number(net, 255)), to=_UINT8)
    return net.node("DequantizeLinear", stored, _number(net, 0.05), _number(net, 100, np.uint8))


def _thresholds(net: Net, x: str) -> str:
    bright = net.node("Greater", x, _number(net, 0.5))
    return net.node("Where", bright, _number(net, 1), _number(net, -1))


def _dark_and_no_edge(net: Net, x: str) -> str:
    dark, deep = net.node("Less", x, _number(net, 0.25)), net.node("Less", x, _number(net, -1.5))
    return net.node("Cast", net.node("And", dark, net.node("Not", deep)), to=_FLOAT)


_FRONTS: dict[str, tuple[Front, Same]] = {
    "round": (_rounded, np.round),
    "ceil": (_steps_of_a_quarter, lambda x: np.ceil(x * 4) / 4),
    "cast": (_there_and_back, lambda x: np.trunc(x * np.float32(10)) * 3),
    "bytes": (_stored_as_bytes, lambda x: (np.clip(np.round(x * np.float32(20) + 100), 0, 255) - 100) * 0.05),
    "thresholds": (_thresholds, lambda x: np.where(x > 0.5, 1.0, -1.0)),
    "logic": (_dark_and_no_edge, lambda x: ((x < 0.25) & (x >= -1.5)).astype(float)),
}


def _net(front: Front) -> onnx.ModelProto:
    net = Net(seed=4)
    x = front(net, net.image())
    # Weights of the front are not drawn at random, so that those of the network are the same with any front.
    return net.model(net.pooled_head(trunk(net, x), 16))


@pytest.mark.parametrize("name", _FRONTS)
def test_a_rounded_image_is_explained_as_if_it_came_in_so(name: str, tmp_path: Path) -> None:
    front, same = _FRONTS[name]
    (tmp_path / "plain").mkdir()
    made = exported(_net(front), tmp_path)
    exported(_net(lambda _, x: x), tmp_path / "plain")
    assert made.manifest.certificate.passed
    assert made.manifest.layers[0].name == "last"
    image = images((2, 3, 16, 16))
    found = run_graph(tmp_path / "cam.onnx", image, [1, 4])
    expected = run_graph(tmp_path / "plain" / "cam.onnx", same(image).astype(np.float32), [1, 4])
    layer = made.manifest.layers[0]
    for tensor in (layer.activations_tensor, layer.weights_tensor):
        assert np.abs(expected[tensor]).max() > 0
        np.testing.assert_allclose(found[tensor], expected[tensor], rtol=1e-4, atol=1e-6)


def test_the_upper_bits_of_bytes_are_explained(tmp_path: Path) -> None:
    net = Net()
    high = net.node("BitShift", net.image(dtype=_UINT8), _number(net, 4, np.uint8), direction="RIGHT")
    made = in_memory(net.model(net.pooled_head(trunk(net, net.node("Cast", high, to=_FLOAT)), 16)), tmp_path)
    assert made.manifest.certificate.passed
    assert made.manifest.layers[0].name == "last"


def test_pixels_beside_their_mask_are_no_layer(tmp_path: Path) -> None:
    """The joined six channels are still the image itself."""
    net = Net()
    image = net.image()
    mask = net.node("Cast", net.node("GreaterOrEqual", image, _number(net, 0)), to=_FLOAT)
    joined = net.node("Concat", image, mask, axis=1, name="joined")
    model = net.model(net.pooled_head(net.node("Relu", net.conv(joined, (6, 8)), name="map"), 8))
    assert in_memory(model, tmp_path).manifest.layers[0].name == "map"
    with pytest.raises(LayerError, match="is not a feature map"):
        in_memory(model, tmp_path, layers=("joined",))


def _of_signs() -> onnx.ModelProto:
    """A network of two convolutions with a binary activation between them."""
    net = Net(seed=2)
    signs = net.node("Sign", net.conv(net.image(), (3, 8), name="before"), name="signs")
    return net.model(net.pooled_head(net.node("Relu", net.conv(signs, (8, 8)), name="after"), 8))


def test_a_layer_after_signs_is_explained(tmp_path: Path) -> None:
    made = in_memory(_of_signs(), tmp_path)
    assert made.manifest.certificate.passed
    assert made.manifest.layers[0].name == "after"


def test_a_layer_before_signs_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=r"No gradient flows from score 'logits' to layer 'before'.*rounding"):
        in_memory(_of_signs(), tmp_path, layers=("before",))


@pytest.mark.parametrize("model", [_of_signs, lambda: _net(_rounded)], ids=["signs", "round"])
def test_guided_gradients_need_a_way_to_the_image(model: Callable[[], onnx.ModelProto], tmp_path: Path) -> None:
    with pytest.raises(GradientError, match="rounds or compares") as caught:
        in_memory(model(), tmp_path, guided=True)
    assert "--guided" in str(caught.value)


@pytest.mark.parametrize("operator", ["Round", "Floor"])
def test_maps_without_gradient_are_named_as_such(operator: str, tmp_path: Path) -> None:
    """The scores themselves are whole numbers: there is a map, and nothing to weight it with."""
    net = Net()
    whole = net.node(operator, net.pooled_head(trunk(net, net.image()), 16, name="real"), name="whole")
    with pytest.raises(LayerError, match=rf"No gradient of the score 'whole'.*\({operator}\)"):
        in_memory(net.model(whole), tmp_path)
    assert in_memory(net.model("real"), tmp_path).manifest.head.score_tensor == "real"
