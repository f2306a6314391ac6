"""Heads as people write them: from scores z [N, 5], or a single one [N, 1], to what the model gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx

from camgraph.v1 import manifest_pb2 as pb
from support.nets import CLASSES, Net, trunk

Build = Callable[[Net, str], str]
Array = np.ndarray

SOFTMAX, LOG_SOFTMAX = pb.HEAD_KIND_SOFTMAX, pb.HEAD_KIND_LOG_SOFTMAX
SIGMOID, OTHER = pb.HEAD_KIND_SIGMOID, pb.HEAD_KIND_PROBABILITY


@dataclass(frozen=True)
class Spelling:
    """A head.

    Attributes:
        name: what it is.
        build: appends it to a net that gives `z`, and returns the output.
        kind: what the manifest is to say.
        factor: of the score over z.
        offset: of the score over `factor` times z.
        shape: of the output.
        probabilities: from the output to the model's own probabilities [N, C], which the runtime must show.
        scores: number of scores z.
        opset: of the file.

    """

    name: str
    build: Build
    kind: pb.HeadKind
    factor: float = 1.0
    offset: float = 0.0
    shape: tuple[int | str, ...] = ("N", CLASSES)
    probabilities: Callable[[Array], Array] = np.asarray
    scores: int = CLASSES
    opset: int = 17


def spelled(spelling: Spelling) -> onnx.ModelProto:
    """A network that ends in the head. Its scores `z` are large, so that a gradient through the head would be lost."""
    net = Net(seed=11, opset=spelling.opset)
    z = net.pooled_head(trunk(net, net.image()), 16, spelling.scores, name="plain")
    z = net.node("Gemm", z, net.weight(12 * _mixing(spelling.scores)), name="z")
    out = spelling.build(net, z)
    shape = ("N", spelling.scores) if out == z else spelling.shape
    return net.model(out, shapes={out: shape})


def _mixing(size: int) -> Array:
    return (np.eye(size) + 0.1 * np.random.default_rng(1).standard_normal((size, size))).astype(np.float32)


def _number(net: Net, value: float) -> str:
    return net.weight(np.float32(value))


def _softmax(net: Net, z: str) -> str:
    return net.node("Softmax", z, axis=1)


def _sigmoid(net: Net, z: str) -> str:
    return net.node("Sigmoid", z)


def _then(first: Build, *operators: str, **attributes: object) -> Build:
    def build(net: Net, z: str) -> str:
        out = first(net, z)
        for operator in operators:
            out = net.node(operator, out, **attributes)
        return out

    return build


def _scaled(first: Build, factor: float, *, operator: str = "Mul") -> Build:
    return lambda net, z: net.node(operator, first(net, z), _number(net, factor))


def _in_parts(net: Net, z: str, *, axis: int = 1) -> str:
    """As exporters without the operator write it."""
    powers = net.node("Exp", net.node("Sub", z, net.node("ReduceMax", z, axes=[axis])))
    return net.node("Div", powers, net.node("ReduceSum", powers, net.ints(axis)))


def _old_parts(net: Net, z: str) -> str:
    powers = net.node("Exp", net.node("Sub", z, net.node("ReduceMax", z, axes=[1])))
    return net.node("Div", powers, net.node("ReduceSum", powers, axes=[1]))


def _exp_over_mean(net: Net, z: str) -> str:
    powers = net.node("Exp", z)
    return net.node("Div", powers, net.node("Mul", net.node("ReduceMean", powers, axes=[1]), _number(net, CLASSES)))


def _divided(net: Net, z: str, by: float) -> str:
    return net.node("Div", z, _number(net, by))


def _exp_over_sum(net: Net, z: str) -> str:
    powers = net.node("Exp", z)
    return net.node("Div", powers, net.node("ReduceSum", powers, net.ints(1)))


def _exp_times_reciprocal(net: Net, z: str) -> str:
    powers = net.node("Exp", z)
    total = net.node("ReduceSum", powers, net.ints(1), keepdims=0)
    return net.node("Mul", powers, net.node("Reciprocal", net.node("Unsqueeze", total, net.ints(1))))


def _by_matrix(net: Net, z: str) -> str:
    powers = net.node("Exp", net.node("Sub", z, net.node("ReduceMax", z, axes=[1])))
    return net.node("Div", powers, net.node("MatMul", powers, net.weight(np.ones((CLASSES, 1), np.float32))))


def _normalised_exp(net: Net, z: str) -> str:
    """F.normalize(exp(z - max), p=1), as PyTorch's exporter writes it."""
    powers = net.node("Exp", net.node("Sub", z, net.node("ReduceMax", z, axes=[1])))
    length = net.node("Clip", net.node("ReduceL1", powers, axes=[1]), _number(net, 1e-12))
    return net.node("Div", powers, net.node("Expand", length, net.node("Shape", powers)))


def _shifted(net: Net, z: str) -> str:
    return _softmax(net, net.node("Sub", z, net.node("ReduceMax", z, axes=[1])))


def _less_logsumexp(net: Net, z: str) -> str:
    return net.node("Sub", z, net.node("ReduceLogSumExp", z, axes=[1]))


def _log_in_parts(net: Net, z: str) -> str:
    d = net.node("Sub", z, net.node("ReduceMax", z, axes=[1]))
    return net.node("Sub", d, net.node("Log", net.node("ReduceSum", net.node("Exp", d), net.ints(1))))


def _log_softmax(net: Net, z: str) -> str:
    return net.node("LogSoftmax", z, axis=1)


def _powers_of_two(net: Net, z: str) -> str:
    powers = net.node("Pow", _number(net, 2), z)
    return net.node("Div", powers, net.node("ReduceSum", powers, net.ints(1)))


def _clipped(first: Build) -> Build:
    return lambda net, z: net.node("Clip", first(net, z), _number(net, 1e-7), _number(net, 1 - 1e-7))


def _rounded(net: Net, z: str) -> str:
    return net.node("Div", net.node("Round", _scaled(_softmax, 100)(net, z)), _number(net, 100))


def _half(first: Build) -> Build:
    def build(net: Net, z: str) -> str:
        out = first(net, net.node("Cast", z, to=onnx.TensorProto.FLOAT16))
        return net.node("Cast", out, to=onnx.TensorProto.FLOAT)

    return build


def _last_axis(net: Net, z: str) -> str:
    wide = net.node("Reshape", z, net.ints(0, 1, 1, CLASSES))
    return net.node("Reshape", _in_parts(net, wide, axis=3), net.ints(0, -1))


def _channels_moved(net: Net, z: str) -> str:
    wide = net.node("Reshape", z, net.ints(0, CLASSES, 1, 1))
    return net.node("Transpose", _in_parts(net, wide), perm=[0, 2, 3, 1])


def _one_over(net: Net, z: str) -> str:
    powers = net.node("Exp", net.node("Neg", z))
    return net.node("Div", _number(net, 1), net.node("Add", _number(net, 1), powers))


def _reciprocal(net: Net, z: str) -> str:
    return net.node("Reciprocal", net.node("Add", net.node("Exp", net.node("Neg", z)), _number(net, 1)))


def _tanh(net: Net, z: str) -> str:
    half = net.node("Tanh", net.node("Mul", z, _number(net, 0.5)))
    return net.node("Mul", net.node("Add", half, _number(net, 1)), _number(net, 0.5))


def _tanh_of_all(net: Net, z: str) -> str:
    return net.node("Add", net.node("Mul", net.node("Tanh", z), _number(net, 0.5)), _number(net, 0.5))


def _exp_of_softplus(net: Net, z: str) -> str:
    return net.node("Exp", _log_sigmoid(net, z))


def _log_sigmoid(net: Net, z: str) -> str:
    return net.node("Neg", net.node("Softplus", net.node("Neg", z)))


def _one_minus(first: Build) -> Build:
    return lambda net, z: net.node("Sub", _number(net, 1), first(net, z))


def _both(first: Build, *, turned: bool = False, stacked: bool = False) -> Build:
    def build(net: Net, z: str) -> str:
        p = first(net, z)
        pair = [net.node("Sub", _number(net, 1), p), p]
        joined = net.node("Concat", *(reversed(pair) if turned else pair), axis=1)
        return net.node("Unsqueeze", joined, net.ints(1)) if stacked else joined

    return build


def _over_sum(first: Build) -> Build:
    def build(net: Net, z: str) -> str:
        p = first(net, z)
        return net.node("Div", p, net.node("ReduceSum", p, net.ints(1)))

    return build


def _hard(net: Net, z: str) -> str:
    return net.node("HardSigmoid", z)


def _hard_in_parts(net: Net, z: str) -> str:
    line = net.node("Add", net.node("Mul", z, _number(net, 0.2)), _number(net, 0.5))
    return net.node("Clip", line, _number(net, 0), _number(net, 1))


def _members(first: Build, net: Net, z: str) -> tuple[str, str]:
    return first(net, z), first(net, net.node("Mul", z, _number(net, 0.5)))


def _mean(first: Build) -> Build:
    return lambda net, z: net.node("Mean", *_members(first, net, z))


def _weighted(net: Net, z: str) -> str:
    one, two = _members(_softmax, net, z)
    return net.node("Add", net.node("Mul", one, _number(net, 0.75)), net.node("Mul", _number(net, 0.25), two))


def _stacked(net: Net, z: str) -> str:
    one, two = (net.node("Unsqueeze", p, net.ints(0)) for p in _members(_in_parts, net, z))
    return net.node("ReduceMean", net.node("Concat", one, two, axis=0), axes=[0], keepdims=0)


def _halved_sum(net: Net, z: str) -> str:
    return net.node("Div", net.node("Sum", *_members(_softmax, net, z)), _number(net, 2))


def _some(net: Net, z: str) -> str:
    return net.node("Slice", _softmax(net, z), net.ints(1), net.ints(CLASSES), net.ints(1))


def _joined(net: Net, z: str) -> str:
    first, second = (net.node("Slice", z, net.ints(a), net.ints(b), net.ints(1)) for a, b in ((0, 2), (2, CLASSES)))
    return net.node("Concat", _sigmoid(net, first), _one_over(net, second), axis=1)


def _percent(p: Array) -> Array:
    return p / 100


def _row(p: Array) -> Array:
    return p.reshape(len(p), -1)


def _two(p: Array) -> Array:
    return np.concatenate([1 - p.reshape(-1, 1), p.reshape(-1, 1)], axis=1)


_ONE = {"scores": 1, "shape": ("N", 1), "probabilities": _two}
_PAIR = {"scores": 1, "shape": ("N", 2)}

SPELLINGS = [
    Spelling("softmax", _softmax, SOFTMAX),
    Spelling("softmax in parts", _in_parts, SOFTMAX),
    Spelling("softmax in parts, opset 11", _old_parts, SOFTMAX, opset=11),
    Spelling("exp over its sum", _exp_over_sum, SOFTMAX),
    Spelling("exp times one over its sum", _exp_times_reciprocal, SOFTMAX),
    Spelling("exp over its product with ones", _by_matrix, SOFTMAX),
    Spelling("exp over its mean times the number of classes", _exp_over_mean, SOFTMAX),
    Spelling("normalised exp", _normalised_exp, SOFTMAX),
    Spelling("softmax of z - max(z)", _shifted, SOFTMAX),
    Spelling("exp(z - logsumexp)", _then(_less_logsumexp, "Exp"), SOFTMAX),
    Spelling("exp of log-softmax", _then(_log_softmax, "Exp"), SOFTMAX),
    Spelling("softmax of log-softmax", lambda n, z: _softmax(n, _log_softmax(n, z)), SOFTMAX),
    Spelling("softmax, normalised again", _over_sum(_softmax), SOFTMAX),
    Spelling("softmax, clipped", _clipped(_softmax), SOFTMAX),
    Spelling("softmax in parts, clipped", _clipped(_in_parts), SOFTMAX),
    Spelling("softmax, rounded to percent", _rounded, SOFTMAX),
    Spelling("softmax in percent", _scaled(_softmax, 100), SOFTMAX, probabilities=_percent),
    Spelling("softmax in parts, tenfold", _scaled(_in_parts, 10), SOFTMAX, probabilities=lambda p: p / 10),
    Spelling("softmax, identity", _then(_softmax, "Identity", "Identity"), SOFTMAX),
    Spelling("softmax in half precision", _half(_softmax), SOFTMAX),
    Spelling("softmax in parts, in half precision", _half(_in_parts), SOFTMAX),
    Spelling("softmax in parts on the last of four axes", _last_axis, SOFTMAX),
    Spelling(
        "softmax in parts, then channels last", _channels_moved, SOFTMAX, shape=("N", 1, 1, CLASSES), probabilities=_row
    ),
    Spelling("softmax with a temperature", lambda n, z: _softmax(n, _scaled(lambda _, x: x, 0.5)(n, z)), SOFTMAX, 0.5),
    Spelling("softmax in parts with a temperature", lambda n, z: _in_parts(n, _divided(n, z, 4)), SOFTMAX, 0.25),
    Spelling("powers of two over their sum", _powers_of_two, SOFTMAX, float(np.log(2))),
    Spelling("log-softmax", _log_softmax, LOG_SOFTMAX, probabilities=np.exp),
    Spelling("softmax, log", _then(_softmax, "Log"), LOG_SOFTMAX, probabilities=np.exp),
    Spelling(
        "softmax plus epsilon, log",
        lambda n, z: n.node("Log", n.node("Add", _softmax(n, z), _number(n, 1e-7))),
        LOG_SOFTMAX,
        probabilities=np.exp,
    ),
    Spelling("softmax, clipped, log", _then(_clipped(_softmax), "Log"), LOG_SOFTMAX, probabilities=np.exp),
    Spelling("z - logsumexp", _less_logsumexp, LOG_SOFTMAX, probabilities=np.exp),
    Spelling("log-softmax in parts", _log_in_parts, LOG_SOFTMAX, probabilities=np.exp),
    Spelling("negative log-softmax", _then(_log_softmax, "Neg"), LOG_SOFTMAX, probabilities=lambda x: np.exp(-x)),
    Spelling("softmax, log, negative", _then(_softmax, "Log", "Neg"), LOG_SOFTMAX, probabilities=lambda x: np.exp(-x)),
    Spelling(
        "log-softmax to base ten", _scaled(_log_softmax, 1 / np.log(10)), LOG_SOFTMAX, probabilities=lambda x: 10.0**x
    ),
    Spelling("sigmoid", _sigmoid, SIGMOID),
    Spelling("1 / (1 + exp(-z))", _one_over, SIGMOID),
    Spelling("reciprocal of exp(-z) + 1", _reciprocal, SIGMOID),
    Spelling("(tanh(z / 2) + 1) / 2", _tanh, SIGMOID),
    Spelling("tanh(z) / 2 + 1 / 2", _tanh_of_all, SIGMOID, 2.0),
    Spelling("exp of -softplus(-z)", _exp_of_softplus, SIGMOID),
    Spelling("log of a sigmoid", _log_sigmoid, SIGMOID, probabilities=np.exp),
    Spelling("sigmoid, clipped", _clipped(_sigmoid), SIGMOID),
    Spelling("sigmoid in parts, percent", _scaled(_one_over, 100), SIGMOID, probabilities=_percent),
    Spelling("1 - sigmoid", _one_minus(_sigmoid), SIGMOID, -1.0),
    Spelling("sigmoid in parts, in half precision", _half(_exp_of_softplus), SIGMOID),
    Spelling("joined sigmoids", _joined, SIGMOID),
    Spelling("single sigmoid", _sigmoid, SIGMOID, **_ONE),  # type: ignore[arg-type]  # shared by rows
    Spelling("single sigmoid in parts", _one_over, SIGMOID, **_ONE),
    Spelling("single sigmoid, clipped", _clipped(_reciprocal), SIGMOID, **_ONE),
    Spelling("1 - a single sigmoid", _one_minus(_sigmoid), SIGMOID, -1.0, **_ONE),
    Spelling("both of a single sigmoid", _both(_sigmoid), SIGMOID, **_PAIR),
    Spelling("both of a sigmoid in parts", _both(_tanh), SIGMOID, **_PAIR),
    Spelling("both of a single sigmoid, turned", _both(_sigmoid, turned=True), SIGMOID, -1.0, **_PAIR),
    Spelling("both, stacked", _both(_one_over, stacked=True), SIGMOID, scores=1, shape=("N", 1, 2), probabilities=_row),
    Spelling("hard sigmoid", _hard, OTHER),
    Spelling("hard sigmoid in parts", _hard_in_parts, OTHER, 0.2, 0.5),
    Spelling("single hard sigmoid", _hard, OTHER, **_ONE),
    Spelling("sigmoid over its sum", _over_sum(_sigmoid), OTHER),
    Spelling("softplus over its sum", _over_sum(_then(lambda _, z: z, "Softplus")), OTHER),
    Spelling("softmax of a softmax", _then(_softmax, "Softmax", axis=1), OTHER),
    Spelling("some classes of a softmax", _some, OTHER, shape=("N", CLASSES - 1)),
    Spelling("mean of two softmaxes", _mean(_softmax), OTHER, 0.75),
    Spelling("mean of two softmaxes in parts", _mean(_in_parts), OTHER, 0.75),
    Spelling("weighted sum of two softmaxes", _weighted, OTHER, 0.875),
    Spelling("mean of stacked softmaxes", _stacked, OTHER, 0.75),
    Spelling("half of a sum of softmaxes", _halved_sum, OTHER, 0.75),
    Spelling("log of a mean of softmaxes", _then(_mean(_softmax), "Log"), OTHER, 0.75, probabilities=np.exp),
    Spelling("mean of softmaxes in percent", _scaled(_mean(_softmax), 100), OTHER, 0.75, probabilities=_percent),
    Spelling("mean of two sigmoids", _mean(_sigmoid), OTHER, 0.75),
    Spelling("mean of two single sigmoids", _mean(_sigmoid), OTHER, 0.75, **_ONE),
]
