"""Builds small ONNX networks with random weights, node by node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

CLASSES = 5
IMAGE = ("N", 3, 16, 16)


class Net:
    """A network in the making: every method appends nodes and returns the name of the value that they compute.

    Weights are drawn from `seed`; names of values are those given as `name`, else the operator's with a number.
    """

    def __init__(self, *, opset: int = 17, ir_version: int = 8, seed: int = 0) -> None:
        self.opset, self.ir_version = opset, ir_version
        self.rng = np.random.default_rng(seed)
        self.inputs: list[onnx.ValueInfoProto] = []
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.functions: list[onnx.FunctionProto] = []
        self.domains: dict[str, int] = {}

    def image(
        self, shape: Sequence[int | str] = IMAGE, *, name: str = "image", dtype: int = onnx.TensorProto.FLOAT
    ) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def node(self, op_type: str, *inputs: str, name: str = "", outputs: int = 1, domain: str = "", **attrs: Any) -> str:
        name = name or f"{op_type}_{len(self.nodes)}"
        names = [name, *(f"{name}:{i}" for i in range(1, outputs))]
        self.nodes.append(helper.make_node(op_type, inputs, names, name=f"node/{name}", domain=domain, **attrs))
        if domain:
            self.domains[domain] = 1
        return name

    def weight(self, array: Any, name: str = "") -> str:
        name = name or f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def ints(self, *numbers: int, name: str = "") -> str:
        return self.weight(np.asarray(numbers, dtype=np.int64), name)

    def random(self, *shape: int, name: str = "") -> str:
        fan_in = max(int(np.prod(shape[1:])), 1)
        return self.weight((self.rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(np.float32), name)

    def conv(self, x: str, channels: tuple[int, int], *, kernel: int = 3, name: str = "", **attrs: Any) -> str:
        before, after = channels
        pads = attrs.pop("pads", [kernel // 2] * 4)
        w, b = self.random(after, before // attrs.get("group", 1), kernel, kernel), self.weight(self._small(after))
        return self.node("Conv", x, w, b, name=name, pads=pads, kernel_shape=[kernel, kernel], **attrs)

    def linear(self, x: str, features: int, classes: int, *, name: str = "") -> str:
        return self.node(
            "Gemm", x, self.random(classes, features), self.weight(self._small(classes)), name=name, transB=1
        )

    def pooled_head(self, x: str, channels: int, classes: int = CLASSES, *, name: str = "logits") -> str:
        """Global average pooling and one linear layer."""
        pooled = self.node("Flatten", self.node("GlobalAveragePool", x), axis=1)
        return self.linear(pooled, channels, classes, name=name)

    def model(self, *outputs: str, shapes: dict[str, Sequence[int | str]] | None = None) -> onnx.ModelProto:
        """Finish the network. Outputs are float32 [N, CLASSES] unless `shapes` says otherwise."""
        infos = [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (shapes or {}).get(name, ("N", CLASSES)))
            for name in outputs
        ]
        graph = helper.make_graph(self.nodes, "net", self.inputs, infos, self.weights)
        opsets = [helper.make_opsetid("", self.opset), *(helper.make_opsetid(d, v) for d, v in self.domains.items())]
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=self.ir_version, functions=self.functions, producer_name="nets"
        )

    def _small(self, count: int) -> np.ndarray:
        return (self.rng.standard_normal(count) * 0.1).astype(np.float32)


def trunk(net: Net, x: str, *, channels: int = 8) -> str:
    """Stem, residual block, max-pooling, convolution: 16 x 16 pixels to 8 x 8 cells; values `stem`, `block`, `last`."""
    stem = net.node("Relu", net.conv(x, (3, channels)), name="stem")
    branch = net.conv(net.node("Relu", net.conv(stem, (channels, channels))), (channels, channels))
    block = net.node("Relu", net.node("Add", branch, stem), name="block")
    pooled = net.node("MaxPool", block, kernel_shape=[2, 2], strides=[2, 2], name="pooled")
    return net.node("Relu", net.conv(pooled, (channels, 2 * channels)), name="last")


def classifier(
    *, softmax: bool = False, shape: Sequence[int | str] = IMAGE, opset: int = 17, **options: Any
) -> onnx.ModelProto:
    """A small residual classifier: image [N, 3, 16, 16] to logits [N, 5], on demand with a softmax."""
    net = Net(opset=opset, **options)
    logits = net.pooled_head(trunk(net, net.image(shape)), 16)
    outputs = [net.node("Softmax", logits, name="probabilities", axis=1)] if softmax else [logits]
    return net.model(*outputs, shapes=dict.fromkeys(outputs, (shape[0], CLASSES)))


def deep_classifier(*, seed: int = 0, opset: int = 17) -> onnx.ModelProto:
    """A classifier whose gradient varies over the map: concat, stride, average pooling, a hidden layer."""
    net = Net(opset=opset, seed=seed)
    last = trunk(net, net.image())
    left = net.node("Sigmoid", net.conv(last, (16, 8), kernel=1))
    right = net.node("Relu", net.conv(last, (16, 8), group=2))
    joined = net.node("Concat", left, right, axis=1, name="joined")
    small = net.node("AveragePool", joined, kernel_shape=[2, 2], strides=[2, 2])
    hidden = net.node("Relu", net.linear(net.node("Flatten", small, axis=1), 256, 32))
    return net.model(net.linear(hidden, 32, CLASSES, name="logits"))
