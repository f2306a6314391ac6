"""Ends of networks, as files spell softmax, sigmoid and what is near them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx

from support.nets import CLASSES, Net

Build = Callable[[Net, str], str]
Array = np.ndarray


def number(net: Net, value: float) -> str:
    return net.weight(np.float32(value))


def softmax(net: Net, z: str) -> str:
    return net.node("Softmax", z, axis=1)


def sigmoid(net: Net, z: str) -> str:
    return net.node("Sigmoid", z)


def then(first: Build, *operators: str, **attributes: object) -> Build:
    def build(net: Net, z: str) -> str:
        out = first(net, z)
        for operator in operators:
            out = net.node(operator, out, **attributes)
        return out

    return build


def scaled(first: Build, factor: float, *, operator: str = "Mul") -> Build:
    return lambda net, z: net.node(operator, first(net, z), number(net, factor))


def in_parts(net: Net, z: str, *, axis: int = 1) -> str:
    """As exporters without the operator write it."""
    powers = net.node("Exp", net.node("Sub", z, net.node("ReduceMax", z, axes=[axis])))
    return net.node("Div", powers, net.node("ReduceSum", powers, net.ints(axis)))


def old_parts(net: Net, z: str) -> str:
    powers = net.node("Exp", net.node("Sub", z, net.node("ReduceMax", z, axes=[1])))
    return net.node("Div", powers, net.node("ReduceSum", powers, axes=[1]))


def exp_over_mean(net: Net, z: str) -> str:
    powers = net.node("Exp", z)
    return net.node("Div", powers, net.node("Mul", net.node("ReduceMean", powers, axes=[1]), number(net, CLASSES)))


def divided(net: Net, z: str, by: float) -> str:
    return net.node("Div", z, number(net, by))


def exp_over_sum(net: Net, z: str) -> str:
    powers = net.node("Exp", z)
    return net.node("Div", powers, net.node("ReduceSum", powers, net.ints(1)))


def exp_times_reciprocal(net: Net, z: str) -> str:
    powers = net.node("Exp", z)
    total = net.node("ReduceSum", powers, net.ints(1), keepdims=0)
    return net.node("Mul", powers, net.node("Reciprocal", net.node("Unsqueeze", total, net.ints(1))))


def by_matrix(net: Net, z: str) -> str:
    powers = net.node("Exp", net.node("Sub", z, net.node("ReduceMax", z, axes=[1])))
    return net.node("Div", powers, net.node("MatMul", powers, net.weight(np.ones((CLASSES, 1), np.float32))))


def normalised_exp(net: Net, z: str) -> str:
    """F.normalize(exp(z - max), p=1), as PyTorch's exporter writes it."""
    powers = net.node("Exp", net.node("Sub", z, net.node("ReduceMax", z, axes=[1])))
    length = net.node("Clip", net.node("ReduceL1", powers, axes=[1]), number(net, 1e-12))
    return net.node("Div", powers, net.node("Expand", length, net.node("Shape", powers)))


def shifted(net: Net, z: str) -> str:
    return softmax(net, net.node("Sub", z, net.node("ReduceMax", z, axes=[1])))


def less_logsumexp(net: Net, z: str) -> str:
    return net.node("Sub", z, net.node("ReduceLogSumExp", z, axes=[1]))


def log_in_parts(net: Net, z: str) -> str:
    d = net.node("Sub", z, net.node("ReduceMax", z, axes=[1]))
    return net.node("Sub", d, net.node("Log", net.node("ReduceSum", net.node("Exp", d), net.ints(1))))


def log_softmax(net: Net, z: str) -> str:
    return net.node("LogSoftmax", z, axis=1)


def powers_of_two(net: Net, z: str) -> str:
    powers = net.node("Pow", number(net, 2), z)
    return net.node("Div", powers, net.node("ReduceSum", powers, net.ints(1)))


def clipped(first: Build) -> Build:
    return lambda net, z: net.node("Clip", first(net, z), number(net, 1e-7), number(net, 1 - 1e-7))


def rounded(net: Net, z: str) -> str:
    return net.node("Div", net.node("Round", scaled(softmax, 100)(net, z)), number(net, 100))


def half(first: Build) -> Build:
    def build(net: Net, z: str) -> str:
        out = first(net, net.node("Cast", z, to=onnx.TensorProto.FLOAT16))
        return net.node("Cast", out, to=onnx.TensorProto.FLOAT)

    return build


def last_axis(net: Net, z: str) -> str:
    wide = net.node("Reshape", z, net.ints(0, 1, 1, CLASSES))
    return net.node("Reshape", in_parts(net, wide, axis=3), net.ints(0, -1))


def channels_moved(net: Net, z: str) -> str:
    wide = net.node("Reshape", z, net.ints(0, CLASSES, 1, 1))
    return net.node("Transpose", in_parts(net, wide), perm=[0, 2, 3, 1])


def one_over(net: Net, z: str) -> str:
    powers = net.node("Exp", net.node("Neg", z))
    return net.node("Div", number(net, 1), net.node("Add", number(net, 1), powers))


def reciprocal(net: Net, z: str) -> str:
    return net.node("Reciprocal", net.node("Add", net.node("Exp", net.node("Neg", z)), number(net, 1)))


def tanh(net: Net, z: str) -> str:
    half = net.node("Tanh", net.node("Mul", z, number(net, 0.5)))
    return net.node("Mul", net.node("Add", half, number(net, 1)), number(net, 0.5))


def tanh_of_all(net: Net, z: str) -> str:
    return net.node("Add", net.node("Mul", net.node("Tanh", z), number(net, 0.5)), number(net, 0.5))


def exp_of_softplus(net: Net, z: str) -> str:
    return net.node("Exp", log_sigmoid(net, z))


def log_sigmoid(net: Net, z: str) -> str:
    return net.node("Neg", net.node("Softplus", net.node("Neg", z)))


def one_minus(first: Build) -> Build:
    return lambda net, z: net.node("Sub", number(net, 1), first(net, z))


def both(first: Build, *, turned: bool = False, stacked: bool = False) -> Build:
    def build(net: Net, z: str) -> str:
        p = first(net, z)
        pair = [net.node("Sub", number(net, 1), p), p]
        joined = net.node("Concat", *(reversed(pair) if turned else pair), axis=1)
        return net.node("Unsqueeze", joined, net.ints(1)) if stacked else joined

    return build


def over_sum(first: Build) -> Build:
    def build(net: Net, z: str) -> str:
        p = first(net, z)
        return net.node("Div", p, net.node("ReduceSum", p, net.ints(1)))

    return build


def hard(net: Net, z: str) -> str:
    return net.node("HardSigmoid", z)


def hard_in_parts(net: Net, z: str) -> str:
    line = net.node("Add", net.node("Mul", z, number(net, 0.2)), number(net, 0.5))
    return net.node("Clip", line, number(net, 0), number(net, 1))


def members(first: Build, net: Net, z: str) -> tuple[str, str]:
    return first(net, z), first(net, net.node("Mul", z, number(net, 0.5)))


def mean(first: Build) -> Build:
    return lambda net, z: net.node("Mean", *members(first, net, z))


def weighted(net: Net, z: str) -> str:
    one, two = members(softmax, net, z)
    return net.node("Add", net.node("Mul", one, number(net, 0.75)), net.node("Mul", number(net, 0.25), two))


def stacked(net: Net, z: str) -> str:
    one, two = (net.node("Unsqueeze", p, net.ints(0)) for p in members(in_parts, net, z))
    return net.node("ReduceMean", net.node("Concat", one, two, axis=0), axes=[0], keepdims=0)


def halved_sum(net: Net, z: str) -> str:
    return net.node("Div", net.node("Sum", *members(softmax, net, z)), number(net, 2))


def some(net: Net, z: str) -> str:
    return net.node("Slice", softmax(net, z), net.ints(1), net.ints(CLASSES), net.ints(1))


def joined(net: Net, z: str) -> str:
    first, second = (net.node("Slice", z, net.ints(a), net.ints(b), net.ints(1)) for a, b in ((0, 2), (2, CLASSES)))
    return net.node("Concat", sigmoid(net, first), one_over(net, second), axis=1)


def percent(p: Array) -> Array:
    return p / 100


def row(p: Array) -> Array:
    return p.reshape(len(p), -1)


def two(p: Array) -> Array:
    return np.concatenate([1 - p.reshape(-1, 1), p.reshape(-1, 1)], axis=1)
