"""Straight-through gradients by torch's autograd in float64: an account that shares no code with the exporter.

Every integer value is held at what a run of the deployed model had there; gradients pass where it was not clipped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from onnx import helper, numpy_helper

Arrays = dict[str, np.ndarray]
# Behind these a quantiser may stand for ReLU or ReLU6, so that the ends of its range pass nothing.
_COMPUTE = {"Conv", "Gemm", "MatMul", "Add", "Mul"}


class _Held(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, _x: torch.Tensor, held: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(mask)
        return held.clone()

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return g * ctx.saved_tensors[0], None, None


def straight_through_gradient(
    model: onnx.ModelProto, integers: Arrays, image: np.ndarray, layer: str, score: str, index: int
) -> np.ndarray:
    """Return d score[index] / d layer of the first image: `integers` are those of a run, `layer` names integers."""
    oracle = _Oracle(model, integers)
    oracle.run(image)
    scores = oracle.values[score] if score in oracle.values else oracle.values[f"{score}_quantized"]
    values = scores[:, index].sum()
    return torch.autograd.grad(values, oracle.values[layer])[0].numpy()


class _Oracle:
    """Walks the trained model's graph; `values` are real numbers, those of integers under the integers' names."""

    def __init__(self, model: onnx.ModelProto, integers: Arrays) -> None:
        self.graph = model.graph
        self.integers = integers
        self.arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        self.maker = {name: node for node in model.graph.node for name in node.output}
        self.values: dict[str, torch.Tensor] = {}

    def run(self, image: np.ndarray) -> None:
        self.values[self.graph.input[0].name] = torch.tensor(image, dtype=torch.float64, requires_grad=True)
        for node in self.graph.node:
            if node.op_type == "QuantizeLinear":
                self._quantise(node)
            elif node.op_type == "DequantizeLinear":
                self.values[node.output[0]] = self._real(node.input[0], node.input[1:], _axis(node, 1))
            elif node.op_type.startswith("Q"):
                self._quantised(node)
            else:
                operands = [self._operand(name) for name in node.input if name]
                result = _OPERATORS[node.op_type](operands, _attributes(node))
                held = node.output[0] in self.integers
                self.values[node.output[0]] = self._hold(node.output[0], result, self._triple(node)) if held else result

    def _quantise(self, node: onnx.NodeProto) -> None:
        maker = self.maker.get(node.input[0])
        x, blocks, bounds = self.values[node.input[0]], maker is None or maker.op_type in _COMPUTE, None
        inner = self.maker.get(maker.input[0]) if maker is not None and maker.op_type in {"Relu", "Clip"} else None
        if maker is not None and inner is not None and inner.op_type in _COMPUTE:
            # The activation is part of the quantising step: what it cut off is told by the integers.
            x = self.values[maker.input[0]]
            bounds = (
                (0.0, np.inf) if maker.op_type == "Relu" else tuple(float(self.arrays[n]) for n in maker.input[1:3])
            )
        if node.input[0] in {"logits", "logits_QuantizeLinear_Input"}:
            blocks = False
        ends = (blocks, blocks)
        if maker is not None and maker.op_type == "Mul":
            ends = self._ends_of_product([list(self.maker[name].input[1:]) for name in maker.input], node.input[1:])
        self.values[node.output[0]] = self._hold(node.output[0], x, node.input[1:], ends, bounds)

    def _quantised(self, node: onnx.NodeProto) -> None:
        """An operator on integers: the operator of the same name on real numbers, and what it rounds to."""
        name = {"QGemm": "Gemm"}.get(node.op_type, node.op_type.removeprefix("QLinear"))
        if name == "Concat":
            result, starts = list(node.input[:2]), range(2, len(node.input), 3)
        else:
            unary = name in {"GlobalAveragePool", "AveragePool", "LeakyRelu", "Sigmoid", "Softmax"}
            place = 3 if unary else 7 if name == "Gemm" else 6
            result, starts = list(node.input[place : place + 2]), range(0, 3 if unary else 6, 3)
        axes = {"Conv": 0, "Gemm": 0 if _attributes(node).get("transB") else 1, "MatMul": -1}
        operands = [self._real(node.input[i], node.input[i + 1 : i + 3], axes.get(name, 1)) for i in starts]
        bias = {"Conv": 8, "Gemm": 6}.get(name)
        if bias is not None and bias < len(node.input) and node.input[bias]:
            scale = self.arrays[node.input[1]].astype(np.float64) * self.arrays[node.input[4]]
            operands.append(torch.tensor(self.arrays[node.input[bias]] * scale))
        x = _OPERATORS[name](operands, _attributes(node))
        ends = (name in _COMPUTE and not node.output[0].startswith("logits"),) * 2
        if name == "Mul":
            ends = self._ends_of_product([list(node.input[i + 1 : i + 3]) for i in starts], result)
        self.values[node.output[0]] = self._hold(node.output[0], x, result, ends)

    def _ends_of_product(self, operands: list[list[str]], result: Any) -> tuple[bool, bool]:
        """A product of numbers that are not negative is not negative, and may fit into the range of its result."""
        tops = []
        for scale, zero in operands:
            limits = np.iinfo(self.arrays[zero].dtype)
            if self.arrays[zero] != limits.min:
                return True, True
            tops.append((limits.max - limits.min) * float(self.arrays[scale]))
        limits = np.iinfo(self.arrays[result[1]].dtype)
        top = (float(limits.max) - float(self.arrays[result[1]]) + 0.5) * float(self.arrays[result[0]])
        return self.arrays[result[1]] != limits.min, bool(np.prod(tops) > top)

    def _hold(
        self,
        name: str,
        x: torch.Tensor,
        parameters: Any,
        ends: tuple[bool, bool] = (False, False),
        bounds: tuple[float, ...] | None = None,
    ) -> torch.Tensor:
        q = self.integers[name]
        scale, zero = (self.arrays[parameter].astype(np.float64) for parameter in parameters)
        held = (q.astype(np.float64) - zero) * scale
        limits = np.iinfo(q.dtype)
        mask = ~((q == limits.min) & ends[0] | (q == limits.max) & ends[1])
        if bounds is not None:
            slack = 0.0 if bounds[0] == 0 and np.isinf(bounds[1]) else scale / 2
            mask &= (held > bounds[0] + slack) & (held < bounds[1] - slack)
        return _Held.apply(x, torch.tensor(held), torch.tensor(mask.astype(np.float64)))

    def _triple(self, node: onnx.NodeProto) -> list[str]:
        """Return scale and zero point of integers that a node only moves: those of the node that made them."""
        maker = self.maker[node.input[0]]
        while maker.op_type != "QuantizeLinear" and not maker.op_type.startswith("Q"):
            maker = self.maker[maker.input[0]]
        if maker.op_type == "QuantizeLinear":
            return list(maker.input[1:])
        places = {
            "QLinearConcat": 0,
            "QGemm": 7,
            "QLinearConv": 6,
            "QLinearMatMul": 6,
            "QLinearAdd": 6,
            "QLinearMul": 6,
        }
        place = places.get(maker.op_type, 3)
        return list(maker.input[place : place + 2])

    def _operand(self, name: str) -> torch.Tensor:
        return self.values[name] if name in self.values else torch.tensor(np.atleast_1d(self.arrays[name])).double()

    def _real(self, name: str, parameters: Any, axis: int) -> torch.Tensor:
        if name in self.values:
            return self.values[name]
        q = self.arrays[name].astype(np.float64)
        scale, zero = (self.arrays[parameter].astype(np.float64) for parameter in parameters)
        wide = [-1 if i == axis % max(q.ndim, 1) else 1 for i in range(q.ndim)]
        scale, zero = (x.reshape(wide) if x.size > 1 else x.reshape(()) for x in (scale, zero))
        return torch.tensor((q - zero) * scale)


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _axis(node: onnx.NodeProto, default: int) -> int:
    return int(_attributes(node).get("axis", default))


def _conv(x: list[torch.Tensor], a: dict[str, Any]) -> torch.Tensor:
    padding = tuple(a.get("pads", [0, 0, 0, 0])[:2])
    return F.conv2d(x[0], x[1], x[2] if len(x) > 2 else None, a.get("strides", 1), padding, 1, a.get("group", 1))


def _clip(x: list[torch.Tensor], _a: dict[str, Any]) -> torch.Tensor:
    """Exclusive at its bounds, as ReLU6 is; torch's own clamp passes gradients there."""
    low, high = (float(bound) for bound in x[1:])
    return torch.where((x[0] > low) & (x[0] < high), x[0], x[0].clamp(low, high).detach())


def _average(x: list[torch.Tensor], a: dict[str, Any]) -> torch.Tensor:
    padding = tuple(a.get("pads", [0, 0, 0, 0])[:2])
    include = bool(a.get("count_include_pad", 0))
    return F.avg_pool2d(x[0], a["kernel_shape"], a.get("strides", [1, 1]), padding, count_include_pad=include)


def _gemm(x: list[torch.Tensor], a: dict[str, Any]) -> torch.Tensor:
    product = a.get("alpha", 1.0) * x[0] @ (x[1].T if a.get("transB") else x[1])
    return product + x[2] if len(x) > 2 else product


_OPERATORS: dict[str, Callable[[list[torch.Tensor], dict[str, Any]], torch.Tensor]] = {
    "Add": lambda x, _a: x[0] + x[1],
    "AveragePool": _average,
    "Clip": _clip,
    "Concat": lambda x, a: torch.cat(x, dim=a["axis"]),
    "Conv": _conv,
    "Flatten": lambda x, _a: x[0].flatten(1),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda x, _a: x[0].mean(dim=(2, 3), keepdim=True),
    "LeakyRelu": lambda x, a: F.leaky_relu(x[0], a["alpha"]),
    "MatMul": lambda x, _a: x[0] @ x[1],
    "MaxPool": lambda x, a: F.max_pool2d(x[0], a["kernel_shape"], a.get("strides", [1, 1])),
    "Mul": lambda x, _a: x[0] * x[1],
    "Relu": lambda x, _a: torch.relu(x[0]),
    "Reshape": lambda x, _a: x[0].reshape([int(i) for i in x[1]]),
    "Sigmoid": lambda x, _a: torch.sigmoid(x[0]),
    "Softmax": lambda x, _a: torch.softmax(x[0], dim=-1),
}
