"""Images of any number of channels, sizes and element types, some of which a file leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from PIL import Image

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidInputError
from camgraph_exporter import Input
from camgraph_runtime import Explainer
from camgraph_runtime.run.engine import Engine
from support.exporting import camgraph, complaint, exported
from support.image_models import (
    NCHW,
    PHOTO,
    RNG,
    SIDE,
    Front,
    batch_norm,
    cast,
    check,
    classifier,
    column,
    imagenet,
    inception,
    probabilities,
    steps,
    tensor_of,
    then,
    to_nchw,
)
from support.nets import CLASSES, Net


def patches(net: Net, x: str) -> str:
    """Patches of 4 x 4 pixels by Reshape and MatMul, then a map again: no convolution reads the image."""
    cells = SIDE // 4
    x = net.node("Reshape", x, net.ints(0, 3, cells, 4, cells, 4))
    x = net.node("Transpose", x, perm=[0, 2, 4, 1, 3, 5])
    x = net.node("MatMul", net.node("Reshape", x, net.ints(0, cells, cells, 48)), net.random(48, 3))
    return net.node("Transpose", x, perm=[0, 3, 1, 2])


OPEN = {
    "as common exporters write": (None, ("batch_size", "num_channels", "height", "width"), 3, 1),
    "without names": (None, (None, None, None, None), 3, 1),
    "channels last": (to_nchw, ("batch", "h", "w", "c"), 3, 3),
    "only the channels": (None, ("N", "c", SIDE, SIDE), 3, 1),
    "only the channels, last": (to_nchw, ("N", SIDE, SIDE, "c"), 3, 3),
    "one channel": (None, ("N", "c", "h", "w"), 1, 1),
    "two channels, last, after arithmetic": (then(steps(("Mul", 0.1)), to_nchw), ("N", "h", "w", "c"), 2, 3),
    "five channels": (steps(("Sub", column([0.1, 0.2, 0.3, 0.4, 0.5]))), ("N", "c", "h", "w"), 5, 1),
    "space to depth": (lambda net, x: net.node("SpaceToDepth", x, blocksize=2), ("N", "c", "h", "w"), 3, 1),
    "patches": (patches, ("batch_size", "num_channels", "height", "width"), 3, 1),
    "fixed batch": (None, (1, "c", "h", "w"), 3, 1),
}


@pytest.mark.parametrize(("front", "shape", "channels", "axis"), OPEN.values(), ids=OPEN)
def test_open_channels_are_found(
    front: Front | None, shape: Sequence[Any], channels: int, axis: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    inside = 12 if "space to depth" in request.node.name else channels
    model = classifier(front, shape, channels=inside)
    graph = exported(model, tmp_path, input_size=(SIDE, SIDE), input=Input.preset("raw"))
    assert graph.manifest.input.tensor.shape[axis] == str(channels)
    assert graph.manifest.input.layout == (pb.LAYOUT_NCHW if axis == 1 else pb.LAYOUT_NHWC)
    pixels = RNG.integers(0, 256, (SIDE, SIDE, channels), np.uint8)
    tensor = pixels if axis == 3 else pixels.transpose(2, 0, 1)
    check(graph, tmp_path, pixels, tensor[None].astype(np.float32))


@pytest.mark.parametrize(
    ("front", "dtype", "is_told"),
    [
        (batch_norm, TensorProto.FLOAT, True),
        (then(cast, imagenet), TensorProto.UINT8, True),
        (None, TensorProto.FLOAT, False),
        (inception, TensorProto.FLOAT, False),
    ],
    ids=["normalised", "bytes", "plain", "own"],
)
def test_inspect_says_whether_values_are_told_or_guessed(
    front: Front | None, dtype: int, is_told: bool, tmp_path: Path
) -> None:
    onnx.save(classifier(front, NCHW, dtype), tmp_path / "model.onnx")
    [line] = [line for line in camgraph("inspect", tmp_path / "model.onnx").stdout.splitlines() if line[:5] == "Input"]
    assert ("; values told by the graph, order of channels and resize guessed: RGB" in line) == is_told
    assert ("; guessed: RGB" in line) == (not is_told)


def test_open_channels_are_inspected_and_exported_without_any_option(tmp_path: Path) -> None:
    model = classifier(None, ("batch_size", "num_channels", "height", "width"))
    onnx.save(model, tmp_path / "model.onnx")
    shown = camgraph("inspect", tmp_path / "model.onnx")
    assert shown.exit_code == 0, shown.output
    assert "'3'" in shown.stdout
    done = camgraph("export", tmp_path / "model.onnx", "-o", tmp_path / "cam.onnx")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("layout", ["first", "last"])
@pytest.mark.parametrize("channels", [2, 4, 5, 12])
def test_any_number_of_channels(channels: int, layout: str, tmp_path: Path) -> None:
    shape = ("N", channels, SIDE, SIDE) if layout == "first" else ("N", SIDE, SIDE, channels)
    model = classifier(None if layout == "first" else to_nchw, shape, channels=channels)
    means, stds = [0.1 * c for c in range(channels)], [1 + 0.1 * c for c in range(channels)]
    graph = exported(model, tmp_path, input=Input(divisor=100, mean=means, std=stds))
    assert graph.manifest.input.channel_order == pb.CHANNEL_ORDER_STORED
    image = (RNG.random((SIDE, SIDE, channels)) * 300).astype(np.float32)
    check(graph, tmp_path, image, tensor_of((image / 100 - means) / stds, shape, model))


def test_channels_that_do_not_fit_are_said(tmp_path: Path) -> None:
    onnx.save(classifier(None, ("N", 4, SIDE, SIDE), channels=4), tmp_path / "model.onnx")
    for options, said in (
        (["--preset", "imagenet"], "has a mean of 3 channels, but the input has 4. State --divisor, --mean and --std"),
        (["--mean", "1,2,3"], "The input has 4 channels, but 3 values were given for the mean. Give 1 or 4."),
        (["--channel-order", "bgr"], "The input has 4 channels, so the channel order cannot be 'bgr'. Use stored"),
    ):
        result = camgraph("export", tmp_path / "model.onnx", "-o", tmp_path / "cam.onnx", *options)
        assert said in complaint(result, exit_code=2)
    assert camgraph("export", tmp_path / "model.onnx", "-o", tmp_path / "cam.onnx").exit_code == 0
    with pytest.raises(InvalidInputError, match="The image has 3 channels, but the network takes 4"):
        Explainer(tmp_path / "cam.onnx").explain(PHOTO)


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.UINT8])
@pytest.mark.parametrize("batch", ["N", 1])
def test_without_an_axis_of_channels_an_image_is_grey(dtype: int, batch: int | str, tmp_path: Path) -> None:
    def front(net: Net, x: str) -> str:
        x = net.node("Unsqueeze", x, net.ints(1))
        return x if dtype == TensorProto.FLOAT else steps(("Div", 255))(net, cast(net, x))

    shape = (batch, SIDE, SIDE)
    model = classifier(front, shape, dtype, channels=1)
    graph = exported(model, tmp_path)
    assert graph.manifest.input.layout == pb.LAYOUT_NHW
    assert graph.manifest.input.channel_order == pb.CHANNEL_ORDER_GRAY
    grey = PHOTO[:, :, 0]
    values = grey / np.float32(255) if dtype == TensorProto.FLOAT else grey
    tensor = tensor_of(values, shape, model)
    check(graph, tmp_path, grey, tensor)
    explainer = Explainer(tmp_path / "cam.onnx")
    from_tensor = explainer.explain(tensor=tensor).predictions[0]
    assert from_tensor.probability == pytest.approx(max(probabilities(explainer, grey)))


def test_scaled_bands_go_in_as_they_are(tmp_path: Path) -> None:
    """A satellite's reflectances, which the graph divides by ten thousand."""
    model = classifier(steps(("Div", 10_000)), ("N", 5, SIDE, SIDE), channels=5)
    graph = exported(model, tmp_path)
    assert "The graph itself computes x / 1e+04, so the values of the image go in as they are." in graph.manifest.notes
    bands = RNG.integers(0, 10_000, (SIDE, SIDE, 5), np.uint16)
    check(graph, tmp_path, bands, tensor_of(bands, ("N", 5), model))


@pytest.mark.parametrize("shape", [("N", "h", "w", "c"), ("N", "c", "h", "w"), ("N", "h", "w")])
def test_segmentation_of_any_image(shape: tuple[str, ...], tmp_path: Path) -> None:
    """Maps of classes first, after an image with its channels last, first, or without an axis."""
    net = Net()
    channels = 1 if len(shape) == 3 else 4
    x = net.image(shape)
    x = to_nchw(net, x) if shape[-1] == "c" else net.node("Unsqueeze", x, net.ints(1)) if channels == 1 else x
    last = net.node("Relu", net.conv(net.node("Relu", net.conv(x, (channels, 8), strides=[2, 2])), (8, 16)))
    scores = net.conv(last, (16, CLASSES), kernel=1, name="scores")
    model = net.model(scores, shapes={scores: ("N", CLASSES, "oh", "ow")})
    exported(model, tmp_path, input_size=(SIDE, SIDE), input=Input.preset("raw"))
    image = RNG.integers(0, 256, (SIDE, SIDE, channels), np.uint8)
    tensor = (image[:, :, 0] if channels == 1 else image if shape[-1] == "c" else image.transpose(2, 0, 1))[None]
    [expected] = Engine(tmp_path / "source.onnx").run({"image": tensor.astype(np.float32)}).values()
    won = np.bincount(expected[0].argmax(axis=0).ravel(), minlength=CLASSES) / expected[0, 0].size
    said = Explainer(tmp_path / "cam.onnx").explain(image, num_predictions=CLASSES).predictions
    assert {p.class_index: p.area for p in said if p.area} == {i: area for i, area in enumerate(won) if area}


@pytest.mark.parametrize("suffix", ["png", "npy"])
def test_sixteen_bits_reach_an_input_of_sixteen_bits_whole(suffix: str, tmp_path: Path) -> None:
    shape = ("N", 1, SIDE, SIDE)
    model = classifier(then(cast, steps(("Div", 65535))), shape, TensorProto.UINT16, channels=1)
    graph = exported(model, tmp_path)
    values = RNG.integers(0, 65536, (SIDE, SIDE), np.uint16)
    if suffix == "png":
        Image.fromarray(values).save(tmp_path / "photo.png")
    else:
        np.save(tmp_path / "photo.npy", values)
    assert np.array_equal(Explainer(tmp_path / "cam.onnx").prepare(tmp_path / f"photo.{suffix}").tensor[0, 0], values)
    check(graph, tmp_path, tmp_path / f"photo.{suffix}", values[None, None])


def test_guided_maps_of_inputs_that_are_no_colour_photos(tmp_path: Path) -> None:
    for shape, channels, front in (
        (("N", 5, SIDE, SIDE), 5, None),
        (("N", SIDE, SIDE), 1, lambda net, x: net.node("Unsqueeze", x, net.ints(1))),
    ):
        onnx.save(classifier(front, shape, channels=channels), tmp_path / "model.onnx")
        done = camgraph("export", tmp_path / "model.onnx", "-o", tmp_path / "cam.onnx", "--guided")
        assert done.exit_code == 0, done.output
        image = RNG.integers(0, 256, (SIDE, SIDE, channels), np.uint8)
        item = Explainer(tmp_path / "cam.onnx").explain(image, method="guided-grad-cam").explanations[0]
        assert item.guided.shape == (SIDE, SIDE, 3)
        assert item.guided_picture().shape == (SIDE, SIDE, 3)
