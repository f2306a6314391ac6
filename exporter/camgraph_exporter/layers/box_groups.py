"""Which boxes of a detector depend on which feature maps: with several scales, each box comes from one map only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from camgraph_exporter.graph.constants import Constants, elements_of
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.graph.traits import Trait, has
from camgraph_exporter.graph.walk import needed_for, reached_from
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.quantised.forms import maker
from camgraph_exporter.reading.image_path import image_path
from camgraph_exporter.score.pieces import Piece, step_back, whole
from camgraph_exporter.score.score_shape import ScoreShape

# These change each score alone: what comes after a head's last weights is the head's own output.
_POINTWISE = Trait.ELEMENTWISE | Trait.AFFINE | Trait.OVER_AXIS


@dataclass(frozen=True)
class BoxGroup:
    """Boxes whose scores one head computes; `count` is None where it is not known.

    `depends_on`: every value that the head computes them from, its own output excluded. `made_of_it`: that output, and
    all that is made of it on the way to the scores.
    """

    count: int | None
    depends_on: frozenset[ir.Value]
    made_of_it: frozenset[ir.Value]


class BoxGroups:
    """The groups of boxes of a detector's scores, which have the shape `shape`."""

    def __init__(self, prepared: PreparedModel, score: ir.Value, shape: ScoreShape) -> None:
        path = image_path(prepared, score)
        sources = _sources(score, path, prepared.probe.constants)
        self.groups = [_group(piece, shape.logits, path) for piece in sources]
        total = shape.num_anchors
        counts = [group.count for group in self.groups if group.count is not None]
        self._counted = total if len(counts) == len(self.groups) and sum(counts) == total else None

    def most_shared(self, values: Sequence[ir.Value]) -> set[ir.Value]:
        """Return those values on which the most boxes depend: all boxes, if there is such a value."""
        reached = {
            value: sum(group.count or 1 for group in self.groups if value in group.depends_on) for value in values
        }
        most = max(reached.values(), default=0)
        return {value for value in values if reached[value] == most}

    def partly(self, value: ir.Value) -> str | None:
        """Say how many of the boxes depend on a value: "16 of 80"; None if all do."""
        missing = [group for group in self.groups if value not in group.depends_on | group.made_of_it]
        if not missing:
            return None
        if self._counted is None:
            return "Not all"
        return f"{self._counted - sum(group.count or 0 for group in missing)} of {self._counted}"


def _group(piece: Piece, classes: int, path: GradientPath) -> BoxGroup:
    count = None if piece.joined is None or piece.joined % classes else piece.joined // classes
    needed = needed_for(path.nodes, [piece.value])
    made = reached_from(path.nodes, [piece.value])
    return BoxGroup(count, frozenset(needed & path.values - {piece.value}), frozenset(made & path.values))


def _sources(score: ir.Value, path: GradientPath, constants: Constants) -> list[Piece]:
    """Return the outputs of the heads that the score is made of: each the last value that weights were applied to."""
    done: dict[ir.Value, Piece] = {}
    open_pieces = [whole(score)]
    while open_pieces:
        piece = open_pieces.pop()
        before = step_back(piece, constants) or _unscaled(piece, path, constants)
        if before is None:
            done.setdefault(piece.value, piece)
        else:
            # Parts that do not depend on the image, such as a constant score of the background, come from no head.
            open_pieces += [part for part in before if part.value in path.values]
    return list(done.values())


def _unscaled(piece: Piece, path: GradientPath, constants: Constants) -> list[Piece] | None:
    """Return the operand of a function of each score alone."""
    node = maker(piece.value)
    if node is None or not has(node, _POINTWISE) or piece.value.shape is None:
        return None
    operands = [x for x in node.inputs if x is not None and x in path.values]
    fixed = [x for x in node.inputs if x is not None and x not in path.values]
    if len(operands) != 1 or operands[0].shape is None or any(elements_of(x, constants) is None for x in fixed):
        return None
    same = dims_of(operands[0]) == dims_of(piece.value)
    return [replace(piece, value=operands[0])] if same else None
