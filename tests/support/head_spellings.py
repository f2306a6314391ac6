"""Heads as people write them: from scores z [N, 5], or a single one [N, 1], to what the model gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx

from camgraph.v1 import manifest_pb2 as pb
from support.head_pieces import (
    both,
    by_matrix,
    channels_moved,
    clipped,
    divided,
    exp_of_softplus,
    exp_over_mean,
    exp_over_sum,
    exp_times_reciprocal,
    half,
    halved_sum,
    hard,
    hard_in_parts,
    in_parts,
    joined,
    last_axis,
    less_logsumexp,
    log_in_parts,
    log_sigmoid,
    log_softmax,
    mean,
    normalised_exp,
    number,
    old_parts,
    one_minus,
    one_over,
    over_sum,
    percent,
    powers_of_two,
    reciprocal,
    rounded,
    row,
    scaled,
    shifted,
    sigmoid,
    softmax,
    some,
    stacked,
    tanh,
    tanh_of_all,
    then,
    two,
    weighted,
)
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


_ONE = {"scores": 1, "shape": ("N", 1), "probabilities": two}
_PAIR = {"scores": 1, "shape": ("N", 2)}

SPELLINGS = [
    Spelling("softmax", softmax, SOFTMAX),
    Spelling("softmax in parts", in_parts, SOFTMAX),
    Spelling("softmax in parts, opset 11", old_parts, SOFTMAX, opset=11),
    Spelling("exp over its sum", exp_over_sum, SOFTMAX),
    Spelling("exp times one over its sum", exp_times_reciprocal, SOFTMAX),
    Spelling("exp over its product with ones", by_matrix, SOFTMAX),
    Spelling("exp over its mean times the number of classes", exp_over_mean, SOFTMAX),
    Spelling("normalised exp", normalised_exp, SOFTMAX),
    Spelling("softmax of z - max(z)", shifted, SOFTMAX),
    Spelling("exp(z - logsumexp)", then(less_logsumexp, "Exp"), SOFTMAX),
    Spelling("exp of log-softmax", then(log_softmax, "Exp"), SOFTMAX),
    Spelling("softmax of log-softmax", lambda n, z: softmax(n, log_softmax(n, z)), SOFTMAX),
    Spelling("softmax, normalised again", over_sum(softmax), SOFTMAX),
    Spelling("softmax, clipped", clipped(softmax), SOFTMAX),
    Spelling("softmax in parts, clipped", clipped(in_parts), SOFTMAX),
    Spelling("softmax, rounded to percent", rounded, SOFTMAX),
    Spelling("softmax in percent", scaled(softmax, 100), SOFTMAX, probabilities=percent),
    Spelling("softmax in parts, tenfold", scaled(in_parts, 10), SOFTMAX, probabilities=lambda p: p / 10),
    Spelling("softmax, identity", then(softmax, "Identity", "Identity"), SOFTMAX),
    Spelling("softmax in half precision", half(softmax), SOFTMAX),
    Spelling("softmax in parts, in half precision", half(in_parts), SOFTMAX),
    Spelling("softmax in parts on the last of four axes", last_axis, SOFTMAX),
    Spelling(
        "softmax in parts, then channels last", channels_moved, SOFTMAX, shape=("N", 1, 1, CLASSES), probabilities=row
    ),
    Spelling("softmax with a temperature", lambda n, z: softmax(n, scaled(lambda _, x: x, 0.5)(n, z)), SOFTMAX, 0.5),
    Spelling("softmax in parts with a temperature", lambda n, z: in_parts(n, divided(n, z, 4)), SOFTMAX, 0.25),
    Spelling("powers of two over their sum", powers_of_two, SOFTMAX, float(np.log(2))),
    Spelling("log-softmax", log_softmax, LOG_SOFTMAX, probabilities=np.exp),
    Spelling("softmax, log", then(softmax, "Log"), LOG_SOFTMAX, probabilities=np.exp),
    Spelling(
        "softmax plus epsilon, log",
        lambda n, z: n.node("Log", n.node("Add", softmax(n, z), number(n, 1e-7))),
        LOG_SOFTMAX,
        probabilities=np.exp,
    ),
    Spelling("softmax, clipped, log", then(clipped(softmax), "Log"), LOG_SOFTMAX, probabilities=np.exp),
    Spelling("z - logsumexp", less_logsumexp, LOG_SOFTMAX, probabilities=np.exp),
    Spelling("log-softmax in parts", log_in_parts, LOG_SOFTMAX, probabilities=np.exp),
    Spelling("negative log-softmax", then(log_softmax, "Neg"), LOG_SOFTMAX, probabilities=lambda x: np.exp(-x)),
    Spelling("softmax, log, negative", then(softmax, "Log", "Neg"), LOG_SOFTMAX, probabilities=lambda x: np.exp(-x)),
    Spelling(
        "log-softmax to base ten", scaled(log_softmax, 1 / np.log(10)), LOG_SOFTMAX, probabilities=lambda x: 10.0**x
    ),
    Spelling("sigmoid", sigmoid, SIGMOID),
    Spelling("1 / (1 + exp(-z))", one_over, SIGMOID),
    Spelling("reciprocal of exp(-z) + 1", reciprocal, SIGMOID),
    Spelling("(tanh(z / 2) + 1) / 2", tanh, SIGMOID),
    Spelling("tanh(z) / 2 + 1 / 2", tanh_of_all, SIGMOID, 2.0),
    Spelling("exp of -softplus(-z)", exp_of_softplus, SIGMOID),
    Spelling("log of a sigmoid", log_sigmoid, SIGMOID, probabilities=np.exp),
    Spelling("sigmoid, clipped", clipped(sigmoid), SIGMOID),
    Spelling("sigmoid in parts, percent", scaled(one_over, 100), SIGMOID, probabilities=percent),
    Spelling("1 - sigmoid", one_minus(sigmoid), SIGMOID, -1.0),
    Spelling("sigmoid in parts, in half precision", half(exp_of_softplus), SIGMOID),
    Spelling("joined sigmoids", joined, SIGMOID),
    Spelling("single sigmoid", sigmoid, SIGMOID, **_ONE),  # type: ignore[arg-type]  # shared by rows
    Spelling("single sigmoid in parts", one_over, SIGMOID, **_ONE),
    Spelling("single sigmoid, clipped", clipped(reciprocal), SIGMOID, **_ONE),
    Spelling("1 - a single sigmoid", one_minus(sigmoid), SIGMOID, -1.0, **_ONE),
    Spelling("both of a single sigmoid", both(sigmoid), SIGMOID, **_PAIR),
    Spelling("both of a sigmoid in parts", both(tanh), SIGMOID, **_PAIR),
    Spelling("both of a single sigmoid, turned", both(sigmoid, turned=True), SIGMOID, -1.0, **_PAIR),
    Spelling("both, stacked", both(one_over, stacked=True), SIGMOID, scores=1, shape=("N", 1, 2), probabilities=row),
    Spelling("hard sigmoid", hard, OTHER),
    Spelling("hard sigmoid in parts", hard_in_parts, OTHER, 0.2, 0.5),
    Spelling("single hard sigmoid", hard, OTHER, **_ONE),
    Spelling("sigmoid over its sum", over_sum(sigmoid), OTHER),
    Spelling("softplus over its sum", over_sum(then(lambda _, z: z, "Softplus")), OTHER),
    Spelling("softmax of a softmax", then(softmax, "Softmax", axis=1), OTHER),
    Spelling("some classes of a softmax", some, OTHER, shape=("N", CLASSES - 1)),
    Spelling("mean of two softmaxes", mean(softmax), OTHER, 0.75),
    Spelling("mean of two softmaxes in parts", mean(in_parts), OTHER, 0.75),
    Spelling("weighted sum of two softmaxes", weighted, OTHER, 0.875),
    Spelling("mean of stacked softmaxes", stacked, OTHER, 0.75),
    Spelling("half of a sum of softmaxes", halved_sum, OTHER, 0.75),
    Spelling("log of a mean of softmaxes", then(mean(softmax), "Log"), OTHER, 0.75, probabilities=np.exp),
    Spelling("mean of softmaxes in percent", scaled(mean(softmax), 100), OTHER, 0.75, probabilities=percent),
    Spelling("mean of two sigmoids", mean(sigmoid), OTHER, 0.75),
    Spelling("mean of two single sigmoids", mean(sigmoid), OTHER, 0.75, **_ONE),
]
