"""A Pad in front of a Conv, as many exporters write it, costs nothing in the gradient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from support.exporting import exported, images, run_graph
from support.nets import Net


def _padded_net(*, inner: bool, strides: int) -> onnx.ModelProto:
    """Two convolutions, the second with its padding inside the node or as a Pad of its own."""
    net = Net(seed=3)
    x = net.node("Relu", net.conv(net.image(), (3, 4)), name="layer")
    padded = x if inner else net.node("Pad", x, net.ints(0, 0, 1, 1, 0, 0, 2, 1), name="padded")
    pads = [1, 1, 2, 1] if inner else [0, 0, 0, 0]
    y = net.node("Relu", net.conv(padded, (4, 6), pads=pads, strides=[strides, strides]))
    return net.model(net.pooled_head(y, 6))


@pytest.mark.parametrize("strides", [1, 2])
def test_the_border_is_not_computed(tmp_path: Path, strides: int) -> None:
    made = exported(_padded_net(inner=False, strides=strides), tmp_path, layers=["layer"])
    added = [node for node in made.model.graph.node if "_grad/" in node.name]
    assert "Pad" not in {node.op_type for node in added}
    assert sum(node.op_type in {"Conv", "ConvTranspose"} for node in added) == 1


@pytest.mark.parametrize("strides", [1, 2])
def test_it_is_the_gradient_of_the_padded_convolution(tmp_path: Path, strides: int) -> None:
    image = images((2, 3, 16, 16))
    weights = {}
    for inner in (False, True):
        folder = tmp_path / str(inner)
        folder.mkdir()
        exported(_padded_net(inner=inner, strides=strides), folder, layers=["layer"], gradients=True)
        weights[inner] = run_graph(folder / "cam.onnx", image, [0, -1])["gradients"]
    np.testing.assert_allclose(weights[False], weights[True], rtol=1e-5, atol=1e-7)


def test_a_wider_border_than_the_kernel_is_cut_afterwards(tmp_path: Path) -> None:
    net = Net(seed=4)
    x = net.node("Relu", net.conv(net.image(), (3, 4)), name="layer")
    padded = net.node("Pad", x, net.ints(0, 0, 3, 3, 0, 0, 3, 3))
    y = net.node("Relu", net.conv(padded, (4, 6), pads=[0, 0, 0, 0]))
    made = exported(net.model(net.pooled_head(y, 6)), tmp_path, layers=["layer"])
    assert made.manifest.certificate.passed


@pytest.mark.parametrize(
    ("pool", "options"),
    [
        ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2]}),
        ("MaxPool", {"kernel_shape": [3, 3], "strides": [1, 1]}),
        ("AveragePool", {"kernel_shape": [3, 3], "strides": [2, 2]}),
        ("AveragePool", {"kernel_shape": [3, 3], "strides": [1, 1]}),
        ("AveragePool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ],
)
def test_a_padded_pooling(pool: str, options: dict[str, list[int]], tmp_path: Path) -> None:
    """Its windows are folded with the channels in the batch, so that the border is cut off that, too."""
    net = Net(seed=5)
    x = net.node("Relu", net.conv(net.image(), (3, 4)), name="layer")
    padded = net.node("Pad", x, net.ints(0, 0, 1, 0, 0, 0, 1, 2))
    y = net.conv(net.node(pool, padded, **options), (4, 6))
    made = exported(net.model(net.pooled_head(y, 6)), tmp_path, layers=["layer"], gradients=True)
    assert made.manifest.certificate.passed
