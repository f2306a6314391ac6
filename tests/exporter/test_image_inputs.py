"""Images by what they are: the exported graph predicts from a photo what the trained model predicts from its pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from PIL import Image

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_exporter import Exported, Input
from camgraph_runtime import Explainer
from camgraph_runtime.run.engine import Engine
from support.exporting import camgraph, complaint, exported
from support.nets import CLASSES, Net

SIDE = 16
RNG = np.random.default_rng(3)
PHOTO = RNG.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BGR_MEANS = (103.939, 116.779, 123.68)

Front = Callable[[Net, str], str]


def column(values: Sequence[float], scale: float = 1) -> np.ndarray:
    """Values per channel for [N, C, H, W]."""
    return (np.asarray(values, np.float32) * np.float32(scale)).reshape(-1, 1, 1)


def classifier(
    front: Front | None = None,
    shape: Sequence[int | str] = ("N", 3, SIDE, SIDE),
    dtype: int = TensorProto.FLOAT,
    channels: int = 3,
) -> onnx.ModelProto:
    """A model whose `front` brings the image to [N, C, H, W], as numbers around one."""
    net = Net()
    x = net.image(shape, dtype=dtype)
    x = front(net, x) if front is not None else x
    first = net.node("Relu", net.conv(x, (channels, 8), strides=[2, 2]), name="stem")
    last = net.node("Relu", net.conv(first, (8, 16)), name="last")
    logits = net.pooled_head(last, 16)
    probabilities = net.node("Softmax", logits, name="probabilities", axis=1)
    return net.model(probabilities, shapes={probabilities: (shape[0], CLASSES)})


def steps(*pairs: tuple[str, Any]) -> Front:
    """Arithmetic with constants, one node after the other; a string alone is a node without one."""

    def front(net: Net, x: str) -> str:
        for kind, value in pairs:
            constant = np.asarray(value, None if getattr(value, "dtype", None) is not None else np.float32)
            x = net.node(kind, x, net.weight(constant))
        return x

    return front


def to_nchw(net: Net, x: str) -> str:
    return net.node("Transpose", x, perm=[0, 3, 1, 2])


def then(*fronts: Front) -> Front:
    def front(net: Net, x: str) -> str:
        for one in fronts:
            x = one(net, x)
        return x

    return front


def cast(net: Net, x: str) -> str:
    return net.node("Cast", x, to=TensorProto.FLOAT)


def batch_norm(net: Net, x: str) -> str:
    """Mean and variance of pixels 0..255, as MXNet's networks have them."""
    constants = [np.ones(3), np.zeros(3), np.array(MEAN) * 255, (np.array(STD) * 255) ** 2]
    return net.node("BatchNormalization", x, *(net.weight(c.astype(np.float32)) for c in constants))


def depthwise(net: Net, x: str) -> str:
    """(x - mean) / std as a convolution of one pixel, as some converters write it."""
    kernel = (1 / (np.array(STD, np.float32) * 255)).reshape(3, 1, 1, 1).astype(np.float32)
    bias = (-np.array(MEAN) / STD).astype(np.float32)
    return net.node("Conv", x, net.weight(kernel), net.weight(bias), group=3, kernel_shape=[1, 1])


def channel_by_channel(net: Net, x: str) -> str:
    parts = []
    for i in range(3):
        part = net.node("Gather", x, net.ints(i), axis=1)
        part = net.node("Mul", part, net.weight(np.float32(1 / (255 * STD[i]))))
        parts.append(net.node("Sub", part, net.weight(np.float32(MEAN[i] / STD[i]))))
    return net.node("Concat", *parts, axis=1)


def inception(net: Net, x: str) -> str:
    """As torchvision's GoogLeNet: from ImageNet's normalisation to its own, so that photos are still normalised."""
    return steps(("Mul", column(STD, 2)), ("Add", column([2 * m - 1 for m in MEAN])))(net, x)


def flipped(net: Net, x: str) -> str:
    return net.node("Gather", x, net.ints(2, 1, 0), axis=1)


def padded(net: Net, x: str) -> str:
    return net.node("Pad", x, net.ints(0, 0, 2, 2, 0, 0, 2, 2))


def resized(net: Net, x: str) -> str:
    scales = net.weight(np.array([1, 1, 2, 2], np.float32))
    return net.node("Resize", x, "", scales, mode="linear", coordinate_transformation_mode="half_pixel")


def dequantised(scale: float, zero: int, dtype: type) -> Front:
    def front(net: Net, x: str) -> str:
        return net.node("DequantizeLinear", x, net.weight(np.float32(scale)), net.weight(np.array(zero, dtype)))

    return front


NCHW, NHWC = ("N", 3, SIDE, SIDE), ("N", SIDE, SIDE, 3)
PIXELS = PHOTO.astype(np.float32)


@dataclass(frozen=True)
class Case:
    """A model, the values [H, W, C] that it takes for `PHOTO`, and words of the note that says so."""

    front: Front
    values: np.ndarray
    said: str = ""
    shape: Sequence[int | str] = NCHW
    dtype: int = TensorProto.FLOAT


def imagenet(net: Net, x: str) -> str:
    return steps(("Div", 255), ("Sub", column(MEAN)), ("Div", column(STD)))(net, x)


FORMULA = "The graph itself computes (x - [123.7, 116.3, 103.5]) / [58.4, 57.12, 57.37] on values 0..255"
ON_ONE = "The graph itself computes (x - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225] on values 0..1"
KERAS = "The graph itself computes (x - 127.5) / 127.5 on values 0..255"
BLUE = "Its means are those of ImageNet with blue first."
CASES = {
    "divided, less mean, by std": Case(imagenet, PIXELS, FORMULA),
    "times, then less": Case(
        steps(("Mul", column([1 / s for s in STD], 1 / 255)),
              ("Add", column([-m / s for m, s in zip(MEAN, STD, strict=True)]))),
        PIXELS, FORMULA,
    ),
    "batch normalisation": Case(batch_norm, PIXELS, FORMULA),
    "depthwise convolution": Case(depthwise, PIXELS, FORMULA),
    "channel by channel": Case(channel_by_channel, PIXELS, FORMULA),
    "after padding": Case(then(padded, imagenet), PIXELS, FORMULA),
    "before padding": Case(then(imagenet, padded), PIXELS, FORMULA),
    "after a resize": Case(then(resized, imagenet), PIXELS, FORMULA),
    "channels last, then a transpose": Case(
        then(steps(("Div", 255), ("Sub", np.float32(MEAN)), ("Div", np.float32(STD))), to_nchw), PIXELS, FORMULA, NHWC
    ),
    "a transpose, then arithmetic": Case(then(to_nchw, imagenet), PIXELS, FORMULA, NHWC),
    "Keras Rescaling": Case(then(steps(("Mul", 1 / 127.5), ("Add", -1)), to_nchw), PIXELS, KERAS, NHWC),
    "Keras Rescaling to 0..1": Case(
        then(to_nchw, steps(("Mul", 1 / 255))), PIXELS, "computes x / 255 on values 0..255", NHWC
    ),
    "a mean image": Case(
        steps(("Sub", 120 + 10 * np.random.default_rng(0).random((3, SIDE, SIDE), np.float32)), ("Mul", 0.02)), PIXELS,
        "The graph itself computes about (x - [12",
    ),
    "blue first": Case(steps(("Sub", column(BGR_MEANS)), ("Mul", 0.02)), PIXELS[:, :, ::-1], BLUE),
    "red first, exchanged inside": Case(
        then(flipped, steps(("Sub", column(BGR_MEANS)), ("Mul", 0.02))), PIXELS, "(x - [123.7, 116.8, 103.9])"
    ),
    "blue first, channels last": Case(
        then(steps(("Sub", np.float32(BGR_MEANS)), ("Mul", 0.02)), to_nchw), PIXELS[:, :, ::-1], BLUE, NHWC
    ),
    "on numbers 0..1": Case(steps(("Sub", column(MEAN)), ("Div", column(STD))), PIXELS / 255, ON_ONE),
    "on numbers 0..1, channels last": Case(
        then(steps(("Mul", 2), ("Sub", 1)), to_nchw), PIXELS / 255, "(x - 0.5) / 0.5 on values 0..1", NHWC
    ),
    "numbers 0..1 to pixels and on": Case(
        steps(("Mul", 255), ("Sub", column(BGR_MEANS[::-1])), ("Mul", 0.02)), PIXELS / 255, "on values 0..1"
    ),
    "on numbers -1..1": Case(
        steps(("Add", 1), ("Mul", 0.5)), PIXELS / 127.5 - 1, "(x - -1) / 2 on values -1..1"
    ),
    "bytes": Case(
        then(cast, imagenet), PIXELS, "The input is uint8, so pixels go in as they are.", NCHW, TensorProto.UINT8
    ),
    "bytes, channels last": Case(
        then(cast, to_nchw, steps(("Div", 255))), PIXELS, "The input is uint8", NHWC, TensorProto.UINT8
    ),
    "dequantised bytes": Case(
        dequantised(1 / 64, 114, np.uint8), PIXELS, "The input is uint8", NCHW, TensorProto.UINT8
    ),
    "int8": Case(
        dequantised(1 / 255, -128, np.int8), PIXELS - 128, "The input is int8, so pixels 0..255 go in less 128.", NCHW,
        TensorProto.INT8,
    ),
    "int8 around zero, channels last": Case(
        then(dequantised(1 / 128, 0, np.int8), to_nchw), PIXELS - 128, "The input is int8", NHWC, TensorProto.INT8
    ),
    "int32": Case(then(cast, steps(("Mul", 1 / 255))), PIXELS, "The input is int32", NCHW, TensorProto.INT32),
    "uint16 of a whole range": Case(
        then(cast, steps(("Div", 65535))), PIXELS * 257, "pixels 0..255 are stretched to 0..65535", NCHW,
        TensorProto.UINT16,
    ),
}  # fmt: skip  # a table, in rows of its own


def tensor_of(values: np.ndarray, shape: Sequence[int | str], model: onnx.ModelProto) -> np.ndarray:
    last = len(shape) == 4 and shape[1] == SIDE
    axes = values if last or values.ndim == 2 else values.transpose(2, 0, 1)
    return axes[None].astype(onnx.helper.tensor_dtype_to_np_dtype(model.graph.input[0].type.tensor_type.elem_type))


def probabilities(explainer: Explainer, image: object, **more: Any) -> list[float]:
    result = explainer.explain(image, num_predictions=CLASSES, **more)
    return [p.probability for p in sorted(result.predictions, key=lambda p: p.class_index)]


def check(graph: Exported, folder: Path, image: object, tensor: np.ndarray) -> None:
    """The explainer predicts from the image what the trained model by itself predicts from the tensor."""
    [expected] = Engine(folder / "source.onnx").run({"image": tensor}).values()
    assert expected.max() - expected.min() > 1e-3, "The model must tell something."
    explainer = Explainer(folder / "cam.onnx")
    np.testing.assert_allclose(probabilities(explainer, image), expected[0], atol=2e-5)
    assert explainer.explain(image).explanations[0].heatmap.shape == (SIDE, SIDE)
    assert graph.manifest.certificate.passed


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_photo_is_prepared_once(case: Case, tmp_path: Path) -> None:
    model = classifier(case.front, case.shape, case.dtype)
    graph = exported(model, tmp_path)
    assert any(case.said in note for note in graph.manifest.notes), list(graph.manifest.notes)
    assert graph.manifest.input.told_by_graph
    assert not graph.manifest.input.stated
    check(graph, tmp_path, PHOTO, tensor_of(case.values, case.shape, model))


@pytest.mark.parametrize("front", [None, inception, steps(("Mul", 1.0)), padded], ids=["none", "own", "one", "padding"])
def test_what_tells_nothing_stays_a_guess(front: Front | None, tmp_path: Path) -> None:
    manifest = exported(classifier(front), tmp_path).manifest
    assert list(manifest.notes) == []
    assert not manifest.input.told_by_graph
    np.testing.assert_allclose(manifest.input.mean, MEAN)
    assert manifest.input.divisor == 255


def test_what_is_stated_is_done_and_said_when_the_graph_does_it_too(tmp_path: Path) -> None:
    stated = Input.preset("imagenet")
    manifest = exported(classifier(imagenet), tmp_path, input=stated).manifest
    assert list(manifest.input.mean) == list(MEAN)
    assert list(manifest.notes) == [
        f"{FORMULA}. What was stated for the input is done before that; leave it out to have it done once."
    ]
    raw = exported(classifier(imagenet), tmp_path, input=Input.preset("raw")).manifest
    assert list(raw.notes) == [f"{FORMULA}, so pixels go in as they are."]


@pytest.mark.parametrize(
    ("dtype", "options", "levels"),
    [
        (TensorProto.UINT8, {"divisor": 255}, 2),
        (TensorProto.UINT8, {"based_on": "imagenet"}, 3),
        (TensorProto.INT8, {"based_on": "minus-one-one"}, 3),
        (TensorProto.INT32, {"based_on": "zero-one"}, 2),
        (TensorProto.UINT8, {"mean": (0.0,), "std": (64.0,)}, 5),
    ],
)
def test_a_handful_of_values_is_refused(dtype: int, options: dict[str, Any], levels: int, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=f"of the 256 values of a pixel, what was stated leaves {levels} whole numbers"
    ):
        exported(classifier(cast, dtype=dtype), tmp_path, input=Input(**options))


def test_whole_numbers_can_be_stated(tmp_path: Path) -> None:
    stated = exported(classifier(cast, dtype=TensorProto.INT8), tmp_path, input=Input.preset("raw"))
    assert list(stated.manifest.input.mean) == [128] * 3
    own = Input(divisor=2, mean=(10,), std=(1,))
    kept = exported(classifier(cast, dtype=TensorProto.UINT8), tmp_path, input=own)
    assert (kept.manifest.input.divisor, list(kept.manifest.input.mean)) == (2, [10] * 3)


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
