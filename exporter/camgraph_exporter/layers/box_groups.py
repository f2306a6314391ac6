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
        sources = _Sources(path, prepared.probe.constants, shape.class_axis).of(whole(score))
        self.groups = [_group(pieces, shape.logits, path) for pieces in sources]
        total = shape.num_anchors
        counts = [group.count for group in self.groups if group.count is not None]
        self._counted = total if len(counts) == len(self.groups) and sum(counts) == total else None

    def most_shared(self, values: Sequence[ir.Value], groups: Sequence[BoxGroup] | None = None) -> set[ir.Value]:
        """Return those values on which the most boxes of some groups, else of all, depend; none where no box does."""
        among = self.groups if groups is None else groups
        reached = {value: sum(group.count or 1 for group in among if value in group.depends_on) for value in values}
        most = max(reached.values(), default=0)
        return {value for value in values if reached[value] == most > 0}

    def without(self, values: Sequence[ir.Value]) -> list[BoxGroup]:
        """Return the groups that depend on none of some values."""
        return [group for group in self.groups if (group.depends_on | group.made_of_it).isdisjoint(values)]

    def partly(self, value: ir.Value) -> str | None:
        """Say how many of the boxes depend on a value: "16 of 80"; None if all do."""
        missing = [group for group in self.groups if value not in group.depends_on | group.made_of_it]
        if not missing:
            return None
        if self._counted is None:
            return "Not all"
        return f"{self._counted - sum(group.count or 0 for group in missing)} of {self._counted}"


def _group(pieces: Sequence[Piece], classes: int, path: GradientPath) -> BoxGroup:
    """Return the boxes whose scores are made of some pieces together; the first has the classes."""
    joined, values = pieces[0].joined, {piece.value for piece in pieces}
    count = None if joined is None or joined % classes else joined // classes
    needed = needed_for(path.nodes, values)
    made = reached_from(path.nodes, values)
    return BoxGroup(count, frozenset(needed & path.values - values), frozenset(made & path.values))


@dataclass(frozen=True)
class _Sources:
    """Goes back from scores to the outputs of the heads that they are made of: the last values after weights."""

    path: GradientPath
    constants: Constants
    class_axis: int

    def of(self, piece: Piece) -> list[list[Piece]]:
        """Return for each group of boxes the outputs of its heads: several where a score is made of more than one."""
        before = step_back(piece, self.constants)
        if before is None:
            return self._of_computed(piece)
        # Parts that do not depend on the image, such as a constant score of the background, come from no head.
        groups = [group for part in before if part.value in self.path.values for group in self.of(part)]
        by_values = {frozenset(piece.value for piece in group): group for group in reversed(groups)}
        return list(reversed(by_values.values()))

    def _of_computed(self, piece: Piece) -> list[list[Piece]]:
        operands = self._operands(piece)
        if not operands:
            return [[piece]]
        first, *others = [self.of(operand) for operand in operands]
        if any(len(other) != len(first) for other in others):
            return [[piece]]
        return [[source for group in alike for source in group] for alike in zip(first, *others, strict=True)]

    def _operands(self, piece: Piece) -> list[Piece]:
        """Return the operands of a function of each score alone, or of each box alone, that of the classes first."""
        node = maker(piece.value)
        if node is None or piece.value.shape is None:
            return []
        changing = [x for x in node.inputs if x is not None and x in self.path.values]
        fixed = [x for x in node.inputs if x is not None and x not in self.path.values]
        if not has(node, _POINTWISE if len(changing) == 1 else _POINTWISE | Trait.ARITHMETIC):
            return []
        dims = dims_of(piece.value)
        if any(x.shape is None for x in changing) or any(elements_of(x, self.constants) is None for x in fixed):
            return []
        # Beside numbers of all classes there may be one for the box, which holds for each of them.
        of_box = tuple(1 if axis == piece.axes[self.class_axis] else dim for axis, dim in enumerate(dims))
        alike = [x for x in changing if dims_of(x) == dims]
        others = [x for x in changing if dims_of(x) == of_box != dims]
        if not alike or len(alike) + len(others) != len(changing):
            return []
        return [replace(piece, value=x) for x in (*alike, *others)]
