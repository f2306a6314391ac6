"""Finds the nodes by which a model sorts or selects what it found, before it gives the best of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.graph.constants import Constants, elements_of
from camgraph_exporter.graph.traits import Trait, has, of
from camgraph_exporter.graph.walk import required
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.score.output_head import HEAD_KINDS
from camgraph_exporter.score.pieces import TRACED, unquantised

# Indices are computed with as one likes, coordinates only rescaled.
ARITHMETIC = Trait.ARITHMETIC | Trait.CLAMPS | Trait.ROUNDS
# The operators that may end a head before its scores are sorted.
HEAD_OPERATORS = {name: kind for name, kind in HEAD_KINDS.items() if kind != pb.HEAD_KIND_LOG_SOFTMAX}
_FOLLOWED = TRACED | Trait.PICKS | Trait.REPEATS | Trait.PADS | Trait.SELECTS | Trait.TRUTH | Trait.SCATTERS


@dataclass(frozen=True)
class Sorting:
    """The node that sorts, and what is applied to the sorted scores after it."""

    node: ir.Node
    kind: pb.HeadKind

    @property
    def name(self) -> str:
        """The node by operator and name."""
        return f"{self.node.op_type} node {self.node.name or self.node.outputs[0].name!r}"

    @property
    def what(self) -> ir.Value:
        """What it sorts by."""
        return required(self.node, of(self.node).sorts_by or 0)


def last_sorting(prepared: PreparedModel, found: Sequence[Sorting]) -> Sorting | None:
    """Return the last sorting of the model; the best class of each box counts only where nothing else sorts."""
    position = {node: i for i, node in enumerate(prepared.graph)}
    proper = [sorting for sorting in found if of(sorting.node).sorts_by is not None]
    return max(proper or found, key=lambda sorting: (position[sorting.node], sorting.kind), default=None)


def sortings(output: ir.Value, constants: Constants) -> Iterator[Sorting]:
    """Walk back from an output through everything that only moves and picks, to the nodes that sort."""
    seen: set[ir.Value] = set()
    open_values: list[tuple[ir.Value, pb.HeadKind]] = [(output, pb.HEAD_KIND_NONE)]
    while open_values:
        value, kind = open_values.pop()
        value = unquantised(value)
        node = value.producer()
        if value in seen or node is None:
            continue
        seen.add(value)
        if of(node).sorts_by is not None or _is_best_class(node):
            yield Sorting(node, kind)
        elif _is_followed(node, value, constants):
            kind = HEAD_OPERATORS.get(node.op_type, kind)
            open_values += [(x, kind) for x in node.inputs if x is not None]


def _is_followed(node: ir.Node, value: ir.Value, constants: Constants) -> bool:
    if has(node, _FOLLOWED) or (not node.domain and (node.op_type == "NonZero" or node.op_type in HEAD_OPERATORS)):
        return True
    if not has(node, ARITHMETIC):
        return False
    # Indices take part in any arithmetic; coordinates are only rescaled.
    is_index = value.dtype is not None and not value.dtype.is_floating_point()
    changing = [x for x in node.inputs if x is not None and elements_of(x, constants) is None]
    return is_index or len(changing) == 1


def takes_best(node: ir.Node) -> bool:
    """Tell whether a node gives the best along an axis, or its index."""
    return node.domain == "" and node.op_type in {"ReduceMax", "ArgMax"}


def _is_best_class(node: ir.Node) -> bool:
    """Tell whether a node gives the best class of each box, beside the score of that class.

    A ReduceMax alone may as well be the pooling of a classifier.
    """
    if not takes_best(node) or node.inputs[0] is None:
        return False
    source, axis = node.inputs[0], reduced_axis(node, {})
    if source.shape is None or len(source.shape) != 3 or axis not in (1, 2):
        return False
    other = "ArgMax" if node.op_type == "ReduceMax" else "ReduceMax"
    return any(use.node.op_type == other and reduced_axis(use.node, {}) == axis for use in source.uses())


def reduced_axis(node: ir.Node, constants: Constants) -> int | None:
    """Return the one axis that a node reduces, None for several and for the images."""
    source = node.inputs[0]
    if source is None or source.shape is None:
        return None
    if node.op_type == "ArgMax":
        axes: Sequence[int] | None = [node.attributes.get_int("axis", 0)]
    elif "axes" in node.attributes:
        axes = node.attributes["axes"].as_ints()
    else:
        known = elements_of(node.inputs[1], constants) if len(node.inputs) > 1 else None
        axes = None if known is None else [int(i) for i in known.reshape(-1)]
    return int(axes[0]) % len(source.shape) or None if axes is not None and len(axes) == 1 else None
