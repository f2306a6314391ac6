"""Small networks of every task with random weights, exported by the exporter itself, and slopes of their scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from camgraph_exporter.cli.export import export
from camgraph_exporter.float64 import Float64Evaluator
from camgraph_runtime import Explainer, Threads
from support.nets import Net

SIDE = 32
SEGMENT_LABELS = ("sky", "grass", "cow")
DETECT_LABELS = ("car", "bus", "bike", "van")
EMBEDDING = 6
BOXES = 2 * 8 * 8

IMAGE = np.random.default_rng(0).normal(size=(1, 3, SIDE, SIDE)).astype(np.float32)
MASK = np.zeros((SIDE, SIDE), np.uint8)
MASK[4:15, 10:30] = 1
_RANDOM = np.random.default_rng(1)
ONE, TWO = (_RANDOM.normal(size=EMBEDDING).astype(np.float32) for _ in range(2))
"""Directions of an embedding."""

Score = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Task:
    """A task's network, how it is exported, and where its scores are.

    Attributes:
        build: makes the network.
        score: name of the score tensor.
        layers: two target layers.
        options: options of the export.
        labels: labels of the classes.

    """

    build: Callable[[], onnx.ModelProto]
    score: str
    layers: tuple[str, str]
    options: Sequence[str] = ()
    labels: Sequence[str] = ()


def segmenter() -> onnx.ModelProto:
    """Two levels with a skip connection: image [N, 3, 32, 32] to probabilities [N, 3, 32, 32]."""
    net = Net(seed=3)
    enc = net.node("Relu", net.conv(net.image(("N", 3, SIDE, SIDE)), (3, 8)), name="enc")
    down = net.node("MaxPool", enc, kernel_shape=[2, 2], strides=[2, 2])
    mid = net.node("Relu", net.conv(down, (8, 16)), name="mid")
    up = net.node("ConvTranspose", mid, net.random(16, 8, 2, 2), kernel_shape=[2, 2], strides=[2, 2])
    joined = net.node("Relu", net.conv(net.node("Concat", enc, up, axis=1), (16, 8)))
    logits = net.conv(joined, (8, len(SEGMENT_LABELS)), kernel=1, name="logits")
    probabilities = net.node("Softmax", logits, name="probabilities", axis=1)
    return net.model(probabilities, shapes={probabilities: ("N", len(SEGMENT_LABELS), SIDE, SIDE)})


def detector(*, joined: bool = False) -> onnx.ModelProto:
    """Two candidate boxes a cell: image [N, 3, 32, 32] to `places` [N, 128, 4] and `scores` [N, 128, 4].

    Joined, both are one output `boxes` [N, 128, 8].
    """
    net, classes = Net(seed=5), len(DETECT_LABELS)
    first = net.node("Relu", net.conv(net.image(("N", 3, SIDE, SIDE)), (3, 8), strides=[2, 2]), name="first")
    last = net.node("Relu", net.conv(first, (8, 16), strides=[2, 2]), name="last")
    heads = {}
    for name, values in (("places", 4), ("class_logits", classes)):
        head = net.node("Transpose", net.conv(last, (16, 2 * values)), perm=[0, 2, 3, 1])
        heads[name] = net.node("Reshape", head, net.ints(0, BOXES, values), name=name)
    scores = net.node("Sigmoid", heads["class_logits"], name="scores")
    if joined:
        boxes = net.node("Concat", "places", scores, axis=2, name="boxes")
        return net.model(boxes, shapes={boxes: ("N", BOXES, 4 + classes)})
    return net.model("places", scores, shapes={"places": ("N", BOXES, 4), scores: ("N", BOXES, classes)})


def embedder() -> onnx.ModelProto:
    """A normalised embedding: image [N, 3, 32, 32] to `embedding` [N, 6] of length one."""
    net = Net(seed=7)
    first = net.node("Relu", net.conv(net.image(("N", 3, SIDE, SIDE)), (3, 8), strides=[4, 4]), name="first")
    last = net.node("Relu", net.conv(first, (8, 16), strides=[2, 2]), name="last")
    flat = net.linear(net.node("Flatten", last, axis=1), 16 * 16, EMBEDDING)
    embedding = net.node("LpNormalization", flat, name="embedding", axis=1, p=2)
    return net.model(embedding, shapes={embedding: ("N", EMBEDDING)})


def regressor() -> onnx.ModelProto:
    """One number about 37: image [N, 3, 32, 32] to `years` [N]."""
    net = Net(seed=9)
    first = net.node("Relu", net.conv(net.image(("N", 3, SIDE, SIDE)), (3, 8), strides=[4, 4]), name="first")
    last = net.node("Relu", net.conv(first, (8, 16), strides=[2, 2]), name="last")
    hidden = net.node("Tanh", net.linear(net.node("Flatten", last, axis=1), 16 * 16, 12))
    bias = net.weight(np.array([37], np.float32))
    age = net.node("Gemm", hidden, net.random(1, 12), bias, name="age", transB=1)
    years = net.node("Squeeze", age, net.ints(1), name="years")
    return net.model(years, shapes={years: ("N",)})


def depth_estimator() -> onnx.ModelProto:
    """An encoder and a decoder, whose numbers cannot be negative: image [N, 3, 32, 32] to `depth` [N, 32, 32]."""
    net = Net(seed=11)
    enc = net.node("Relu", net.conv(net.image(("N", 3, SIDE, SIDE)), (3, 8), strides=[2, 2]), name="enc")
    mid = net.node("Relu", net.conv(enc, (8, 16), strides=[2, 2]), name="mid")
    up = net.node("ConvTranspose", mid, net.random(16, 8, 4, 4), kernel_shape=[4, 4], strides=[4, 4])
    metres = net.node("Softplus", net.conv(net.node("Relu", up), (8, 1)), name="metres")
    depth = net.node("Squeeze", metres, net.ints(1), name="depth")
    return net.model(depth, shapes={depth: ("N", SIDE, SIDE)})


TASKS = {
    "segmentation": Task(segmenter, "logits", ("mid", "enc"), labels=SEGMENT_LABELS),
    "detection": Task(
        detector, "class_logits", ("last", "first"), ("--score", "class_logits", "--class-axis", "2"), DETECT_LABELS
    ),
    "embedding": Task(embedder, "embedding", ("last", "first"), ("--task", "embedding")),
    "regression": Task(regressor, "age", ("last", "first")),
    "dense-regression": Task(depth_estimator, "depth", ("mid", "enc")),
}


def export_task(name: str, folder: Path, *options: str) -> Path:
    """Exports the network of a task with everything that can be asked of a graph; returns the graph's path."""
    task = TASKS[name]
    source, output, labels = folder / f"{name}.source.onnx", folder / f"{name}.onnx", folder / f"{name}.txt"
    onnx.save(task.build(), source)
    labels.write_text("\n".join(task.labels))
    layers = [word for layer in task.layers for word in ("--layer", layer)]
    named = ["--labels", labels] if task.labels else []
    wanted = options or ("--gradients", "--guided", "--preset", "zero-one")
    export_model(source, output, *layers, *named, *task.options, *wanted)
    return output


def export_model(source: Path, output: Path, *options: object) -> None:
    export.main([str(word) for word in (source, "-o", output, *options)], standalone_mode=False)


def load(path: Path) -> Explainer:
    return Explainer(path, threads=Threads(1))


class Tail:
    """A network from a layer to its scores, in float64."""

    def __init__(self, source: Path, layer: str, score: str, tensor: np.ndarray) -> None:
        self._evaluator = Float64Evaluator(onnx.load(source))
        self._layer, self._score, self._tensor = layer, score, tensor

    def scores(self, activations: np.ndarray) -> np.ndarray:
        """The score tensor of one image for activations [K, h, w]."""
        feeds = {"image": self._tensor, self._layer: activations[None].astype(np.float64)}
        result: np.ndarray = self._evaluator.run([self._score], feeds)[0][0]
        return result

    def slope(self, activations: np.ndarray, direction: np.ndarray, score: Score, step: float = 1e-6) -> float:
        """Derivative of a score along a direction [K, h, w], by central differences."""
        base = activations.astype(np.float64)
        ahead, behind = (score(self.scores(base + sign * step * direction)) for sign in (1, -1))
        return (ahead - behind) / (2 * step)

    def weights(self, activations: np.ndarray, score: Score) -> np.ndarray:
        """Mean gradient [K] of a score."""
        channels, height, width = activations.shape
        slopes = []
        for k in range(channels):
            direction = np.zeros(activations.shape)
            direction[k] = 1
            slopes.append(self.slope(activations, direction, score) / (height * width))
        return np.array(slopes)


def assert_close(got: np.ndarray, expected: np.ndarray, tolerance: float = 1e-4) -> None:
    """Relative L2 distance; a ReLU gate near zero may differ between float32 and float64."""
    size = np.linalg.norm(expected)
    assert size > 0, "a comparison with nothing proves nothing"
    assert np.linalg.norm(got - expected) <= tolerance * size
