"""Finds the class scores in an output that joins them with something else, as one-stage detectors do with boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.traits import Trait, has
from camgraph_exporter.quantised.forms import maker
from camgraph_exporter.score.pieces import permutation


@dataclass(frozen=True)
class ClassPart:
    """The probabilities `value`, which an output holds along `axis` from `start` on."""

    value: ir.Value
    axis: int
    start: int


def class_part(output: ir.Value) -> ClassPart | None:
    """Return the one part of a joined output that comes from a sigmoid: the probabilities of the classes.

    None where the output is not joined, or where it is not clear which part it is.
    """
    if output.shape is None:
        return None
    axes = list(range(len(output.shape)))
    value = output
    while (node := maker(value)) is not None and node.inputs and node.inputs[0] is not None:
        if has(node, Trait.JOINS):
            return _part(node, axes)
        if has(node, Trait.PERMUTES):
            axes = [permutation(node, len(axes))[axis] for axis in axes]
        elif not has(node, Trait.COPIES):
            return None
        value = node.inputs[0]
    return None


def _part(node: ir.Node, axes: Sequence[int]) -> ClassPart | None:
    """Return the part with the classes. `axes`: for each axis of the output the one of the joined tensor."""
    parts = [x for x in node.inputs if x is not None and x.shape is not None]
    probable = [i for i, part in enumerate(parts) if _is_sigmoid(part)]
    if len(parts) != len(node.inputs) or len(probable) != 1 or len(parts) < 2:
        return None
    joined = node.attributes.get_int("axis", 0) % len(axes)
    before = [dims_of(part)[joined] for part in parts[: probable[0]]]
    numbers = [size for size in before if isinstance(size, int)]
    if len(numbers) != len(before):
        return None
    return ClassPart(parts[probable[0]], axes.index(joined), sum(numbers))


def _is_sigmoid(value: ir.Value) -> bool:
    node = maker(value)
    return node is not None and node.op_type == "Sigmoid" and node.domain == ""
