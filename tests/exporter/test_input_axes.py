"""Inputs that hold no batch of images: refused by their axes, with everything that is wrong in one answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from camgraph_exporter.errors import ModelFileError
from support.exporting import in_memory
from support.nets import CLASSES, Net, trunk

Shape = tuple[int | str, ...]


def _single(shape: Shape, *front: tuple[str, dict[str, list[int]]], added: int = 0) -> onnx.ModelProto:
    """A classifier of one image without a batch axis."""
    net = Net()
    x = net.image(shape)
    for operator, attributes in front:
        x = net.node(operator, x, **attributes)
    x = net.node("Unsqueeze", x, net.ints(added))
    return net.model(net.pooled_head(trunk(net, x), 16), shapes={"logits": (1, CLASSES)})


def _reshaped() -> onnx.ModelProto:
    net = Net()
    x = net.node("Reshape", net.image((3, 16, 16)), net.ints(1, 3, 16, 16))
    logits = net.node("Squeeze", net.pooled_head(trunk(net, x), 16), net.ints(0), name="scores")
    return net.model(logits, shapes={"scores": (CLASSES,)})


def _signal(shape: Shape, first: str = "Conv") -> onnx.ModelProto:
    net = Net()
    x = net.image(shape)
    if first == "Conv":
        x = net.node("Conv", net.node("Mul", x, net.random(1)), net.random(8, 3, 5), pads=[2, 2])
    else:
        x = net.node(first, x, kernel_shape=[4], strides=[4])
        x = net.node("Conv", x, net.random(8, 3, 1))
    return net.model(net.pooled_head(net.node("Relu", x), 8))


def _transposed_signal() -> onnx.ModelProto:
    """[N, L, C], as recurrent networks and Keras have signals."""
    net = Net()
    x = net.node("Transpose", net.image(("N", 100, 3)), perm=[0, 2, 1])
    return net.model(net.pooled_head(net.node("Relu", net.node("Conv", x, net.random(8, 3, 3))), 8))


@pytest.mark.parametrize(
    ("model", "axes"),
    [
        (lambda: _single((3, 16, 16)), r"\[3, 16, 16\], which are channels, height and width"),
        (lambda: _single((3, "H", "W")), r"\[3, H, W\], which are channels, height and width"),
        (
            lambda: _single((16, 16, 3), ("Transpose", {"perm": [2, 0, 1]})),
            r"\[16, 16, 3\], which are height, width and channels",
        ),
        (
            lambda: _single((3, 16, 16), ("Neg", {}), ("Neg", {})),
            r"\[3, 16, 16\], which are channels, height and width",
        ),
        (_reshaped, r"\[3, 16, 16\], which are channels, height and width"),
    ],
    ids=["chw", "open", "hwc", "arithmetic", "reshaped"],
)
def test_an_image_without_a_batch(model: Callable[[], onnx.ModelProto], axes: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=axes + r", and none for the batch\..* \[N, ") as caught:
        in_memory(model(), tmp_path)
    assert "whose first axis" not in str(caught.value)


@pytest.mark.parametrize(
    "model",
    [
        lambda: _signal(("N", 3, 64)),
        lambda: _signal((1, 3, "L")),
        lambda: _signal(("N", 3, 64), "MaxPool"),
        _transposed_signal,
    ],
    ids=["conv", "open", "pool", "transposed"],
)
def test_a_signal(model: Callable[[], onnx.ModelProto], tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"as over a signal \[N, C, L\]\. camgraph explains images"):
        in_memory(model(), tmp_path)


def _grey(normalised: bool) -> onnx.ModelProto:
    """Grey images [N, H, W]; on demand a normalisation of rows, which is no layer that slides."""
    net = Net()
    x = net.image(("N", 16, 16))
    if normalised:
        ones = net.weight(abs(net.rng.standard_normal(16)).astype("float32"))
        x = net.node("BatchNormalization", x, ones, ones, ones, ones)
    x = net.node("Unsqueeze", x, net.ints(1))
    return net.model(net.pooled_head(net.node("Relu", net.conv(x, (1, 8)), name="map"), 8))


@pytest.mark.parametrize("normalised", [False, True])
def test_grey_images_have_three_axes_too(normalised: bool, tmp_path: Path) -> None:
    assert in_memory(_grey(normalised), tmp_path).manifest.layers[0].name == "map"


def test_one_grey_image_is_a_batch_of_one(tmp_path: Path) -> None:
    """[1, H, W] is as much a grey image in a batch as a channel without one."""
    net = Net()
    x = net.node("Unsqueeze", net.image((1, 16, 16)), net.ints(0))
    model = net.model(net.pooled_head(net.node("Relu", net.conv(x, (1, 8)), name="map"), 8), shapes={"logits": (1, 5)})
    assert in_memory(model, tmp_path).manifest.layers[0].name == "map"


def _volume(second: Shape) -> onnx.ModelProto:
    net = Net()
    x = net.node("Relu", net.node("Conv", net.image(("N", 1, 8, 8, 8)), net.random(8, 1, 3, 3, 3)))
    x = net.node("Mul", x, net.image(second, name="other"))
    return net.model(net.pooled_head(x, 8))


def test_a_volume_with_a_number_beside_it_asks_for_the_number(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"one image input and no other.*--set NAME=NUMBERS"):
        in_memory(_volume((1,)), tmp_path)


def test_an_input_of_six_axes_is_told_what_images_have(tmp_path: Path) -> None:
    net = Net()
    x = net.node("Reshape", net.image(("N", 1, 2, 4, 8, 8)), net.ints(-1, 1, 8, 8, 8))
    x = net.node("Relu", net.node("Conv", x, net.random(8, 1, 3, 3, 3)))
    with pytest.raises(ModelFileError, match=r"has 6 axes, \[N, 1, 2, 4, 8, 8\].*volumes, which have frames"):
        in_memory(net.model(net.pooled_head(x, 8)), tmp_path)
