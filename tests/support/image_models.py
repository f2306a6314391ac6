"""Models that take images in many forms, and the check that each image reaches them as it should."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from camgraph_exporter import Exported
from camgraph_runtime import Explainer
from camgraph_runtime.run.engine import Engine
from support.nets import CLASSES, Net

SIDE = 16
RNG = np.random.default_rng(3)
PHOTO = RNG.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BGR_MEANS = (103.939, 116.779, 123.68)

Front = Callable[[Net, str], str]

NCHW, NHWC = ("N", 3, SIDE, SIDE), ("N", SIDE, SIDE, 3)


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


def imagenet(net: Net, x: str) -> str:
    return steps(("Div", 255), ("Sub", column(MEAN)), ("Div", column(STD)))(net, x)


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
