"""Finds linear combinations of probabilities: the mean of an ensemble, a weighted sum, some classes of a softmax.

A mean of softmaxes is not the softmax of any tensor. The score is the same combination of the members'
scores: its slope does not vanish, and each member has the same share in it as in the probabilities.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.traits import Trait, has
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.score.added_score import copy
from camgraph_exporter.score.expectation import is_expectation
from camgraph_exporter.score.output_head import OutputHead
from camgraph_exporter.score.stretch import Stretch, fixed_array, is_fixed

Leaf = Callable[[ir.Value], OutputHead | None]

_MOVES = Trait.MOVES | Trait.COPIES
_MOST_LEAVES = 64


@dataclass(frozen=True)
class Mixture:
    """A linear combination of probabilities.

    `score`: the same combination of the scores. `is_mixed`: numbers of different members are summed, so that scores and
    probabilities may be in different order. `is_sigmoid`: each number is the sigmoid of its score. `total`: the sum of
    the probabilities of all classes, of softmaxes; 1 where that is not the same for all images. `is_quantity`: the
    numbers are no probabilities, such as an expected age. `account`: what the combination is, in words.
    """

    score: ir.Value
    class_axis: int | None
    is_mixed: bool
    is_sigmoid: bool
    total: float
    is_quantity: bool
    account: str


def mixture_of(prepared: PreparedModel, value: ir.Value, leaf: Leaf) -> Mixture | None:
    """Return what a value combines linearly; None where a part of it is not a probability."""
    nodes: list[ir.Node] = []
    heads: dict[ir.Value, OutputHead] = {}
    stack, seen = [value], set[ir.Value]()
    while stack:
        x = stack.pop()
        if x in seen or is_fixed(prepared, x):
            continue
        seen.add(x)
        node = x.producer()
        if node is not None and _is_linear(prepared, node):
            nodes += [node] if node not in nodes else []
            stack += [y for y in node.inputs if y is not None]
            continue
        head = leaf(x)
        if head is None or not _is_plain(head, x) or len(heads) >= _MOST_LEAVES:
            return None
        heads[x] = head
    if not nodes or not heads:
        return None
    mixes = [node for node in nodes if not has(node, _MOVES)]
    kinds = {head.kind for head in heads.values()}
    score = _of_the_scores(prepared, value, nodes, heads)
    return Mixture(
        score,
        class_axis=_class_axis(value, heads),
        is_mixed=bool(mixes),
        is_sigmoid=not mixes and kinds == {pb.HEAD_KIND_SIGMOID},
        total=_total(prepared, value) if mixes and kinds == {pb.HEAD_KIND_SOFTMAX} else 1.0,
        is_quantity=bool(mixes) and is_expectation(prepared, value, heads),
        account=_account(list(heads.values()), mixes),
    )


def outer_form(f: Stretch | None) -> tuple[float, bool] | None:
    """Return what is done to probabilities afterwards: a factor, and whether the logarithm is taken first.

    None where it is something else. Without a function nothing is done.
    """
    if f is None:
        return 1.0, False
    p = np.random.default_rng(4).uniform(0.05, 0.95, f.shape)
    result = f(p)
    if result is None or result.size != p.size:
        return None
    for numbers, is_logarithm in ((p, False), (np.log(p), True)):
        flat, wanted = numbers.ravel(), result.ravel()
        factor = float(flat @ wanted / (flat @ flat))
        if factor != 0 and np.abs(factor * flat - wanted).max() <= 6e-3 * abs(factor):
            near = next((s for s in (1.0, -1.0, 100.0) if abs(factor / s - 1) < 1e-3), factor)
            return (near, is_logarithm) if near > 0 or is_logarithm else None
    return None


def _is_linear(prepared: PreparedModel, node: ir.Node) -> bool:
    if has(node, _MOVES):
        return True
    moving = [x is not None and not is_fixed(prepared, x) for x in node.inputs]
    if has(node, Trait.MULTIPLIES):
        return sum(moving) == 1
    if node.op_type == "Div" or (has(node, Trait.ADDS) and has(node, Trait.REDUCES)):
        return not any(moving[1:])
    return has(node, Trait.ADDS) and (all(moving) or _adds_nothing(prepared, node))


def _adds_nothing(prepared: PreparedModel, node: ir.Node) -> bool:
    fixed = [fixed_array(prepared, x) for x in node.inputs if x is not None and is_fixed(prepared, x)]
    return all(array is not None and not array.any() for array in fixed)


def _is_plain(head: OutputHead, leaf: ir.Value) -> bool:
    """Tell whether a leaf is a probability as it is, in the layout of its scores."""
    kinds = (pb.HEAD_KIND_SOFTMAX, pb.HEAD_KIND_SIGMOID)
    same = head.value.shape is not None and leaf.shape is not None and dims_of(head.value) == dims_of(leaf)
    return head.kind in kinds and head.scale == 1 and not head.is_logarithm and same


def _of_the_scores(
    prepared: PreparedModel, value: ir.Value, nodes: list[ir.Node], heads: dict[ir.Value, OutputHead]
) -> ir.Value:
    place = {node: i for i, node in enumerate(prepared.graph)}
    swapped = {x: head.value for x, head in heads.items()}
    for node in sorted(nodes, key=place.__getitem__):
        copy(prepared, node, swapped)
    return swapped[value]


def _class_axis(value: ir.Value, heads: dict[ir.Value, OutputHead]) -> int | None:
    """Return the axis of the classes, where no node of the combination can have moved it."""
    axes = {head.class_axis for x, head in heads.items() if x.shape is not None and value.shape is not None}
    ranks = {len(dims_of(x)) for x in heads}
    return axes.pop() if len(axes) == 1 and ranks == {len(dims_of(value))} else None


def _total(prepared: PreparedModel, value: ir.Value) -> float:
    """Return what the numbers of an image sum to, if that is a whole multiple of members; else 1."""
    sample = prepared.probe.outputs.get(str(value.name))
    if sample is None or sample.ndim < 2:
        return 1.0
    for axis in range(1, sample.ndim):
        sums = sample.astype(np.float64).sum(axis)
        if sample.shape[axis] > 1 and sums.size and np.ptp(sums) < 1e-3 * abs(sums.mean()) and sums.mean() > 1.01:
            return float(np.round(sums.mean(), 3))
    return 1.0


def _account(heads: list[OutputHead], mixes: list[ir.Node]) -> str:
    names = ", ".join(dict.fromkeys(repr(str(head.value.name)) for head in heads))
    kinds = {head.kind for head in heads}
    word = "softmax" if kinds == {pb.HEAD_KIND_SOFTMAX} else "sigmoid" if kinds == {pb.HEAD_KIND_SIGMOID} else "head"
    of = f"the {word} of {names}" if len(heads) == 1 else f"{len(heads)} {word}{_plural(word)} of {names}"
    what = "a mean or weighted sum" if mixes else "a selection or joint row"
    return f"{what} of {of}"


def _plural(word: str) -> str:
    return "es" if word.endswith("x") else "s"
