"""Finds the class scores of a model that sorts its own boxes or classes, such as [N, 300, 6] after a TopK.

Which box comes first is not a smooth function of the image: a gradient ends at the sorting. What is sorted has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.errors import ScoreError
from camgraph_exporter.graph.constants import Constants, elements_of
from camgraph_exporter.graph.dims import dims_of, known_dims, shape_text
from camgraph_exporter.graph.traits import Trait, has, of
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.score.odds import is_product
from camgraph_exporter.score.output_head import OutputHead
from camgraph_exporter.score.pieces import Piece, step_back, unquantised, whole
from camgraph_exporter.score.recognise import head_of
from camgraph_exporter.score.sorting import (
    ARITHMETIC,
    HEAD_OPERATORS,
    Sorting,
    last_sorting,
    reduced_axis,
    sortings,
    takes_best,
)

_SCALED = (
    "One number for each box, such as how likely it holds an object, is multiplied on before the selection; the score "
    "leaves it out."
)


def ranked_scores(prepared: PreparedModel, output: ir.Value) -> OutputHead | None:
    """Return the class scores of all candidates that an output shows the best of; None if it sorts nothing.

    Raises:
        ScoreError: it does, but no class scores can be told from the rest of what it sorts by.

    """
    constants = prepared.probe.constants
    sorting = last_sorting(prepared, list(sortings(output, constants)))
    if sorting is None:
        return None
    found = _class_scores(sorting, prepared)
    if found is None:
        raise _unclear(sorting, output)
    return replace(found, note=" ".join(filter(None, (_note(sorting, found, output), found.note))))


def _note(sorting: Sorting, found: OutputHead, output: ir.Value) -> str:
    many = found.sorted_from
    held = f"{many}, which {sorting.name} selects"
    if takes_best(sorting.node):
        held = "class of each box"
    text = f"Output {output.name!r} holds only the best {held}. The score is {found.value.name!r}, that of all {many}."
    return f"{text} An anchor is the number of a box there." if many == "boxes" else text


def _unclear(sorting: Sorting, output: ir.Value) -> ScoreError:
    what = sorting.what
    shape = shape_text(what)
    return ScoreError(
        f"Output {output.name!r} holds only the best boxes or classes: {sorting.name} selects them by "
        f"{what.name!r} of shape {shape}. No class scores [N, boxes, C] were found before it. Name the tensor of the "
        "class scores with --score."
    )


@dataclass(frozen=True)
class _Trail:
    """Where the walk back from what is sorted has come.

    `class_axis`: the axis of the classes, where the piece began. `is_scaled`: one number for
    each box was multiplied on. `start`: where the last stretch of moves alone began. `note`:
    what the user should know.
    """

    piece: Piece
    class_axis: int | None = None
    is_scaled: bool = False
    start: ir.Value | None = None
    note: str = ""

    def axis(self) -> int | None:
        """Return the axis of the value that has the classes."""
        return None if self.class_axis is None else self.piece.axes[self.class_axis]

    def is_regrouped(self, nearer: _Trail) -> bool:
        """Tell whether only moves lie between this value and a nearer one, and made rows of other sizes."""
        sizes = [sorted(str(dim) for dim in dims_of(trail.piece.value)) for trail in (self, nearer)]
        return self.start is nearer.start and sizes[0] != sizes[1]


def _class_scores(sorting: Sorting, prepared: PreparedModel) -> OutputHead | None:
    """Walk back from what is sorted to the class scores of all candidates, and on to the input of their head."""
    constants = prepared.probe.constants
    is_detector = sorting.node.op_type != "TopK" or _picks_by(sorting.node.outputs[1], constants)
    best = _farthest(sorting, prepared, rank=3 if is_detector else 2)
    if best is None:
        return None
    scores = best.piece.value
    head = head_of(prepared, scores)
    kind = head.kind if head.kind != pb.HEAD_KIND_NONE else sorting.kind
    if kind == pb.HEAD_KIND_NONE and _is_made_of_probabilities(scores, constants):
        kind = pb.HEAD_KIND_PROBABILITY
    axis = None if best.axis() is None else _axis_in(head.value, scores, best.axis(), constants)
    ranks_product = is_product(prepared, scores)
    axis = best.axis() if ranks_product else axis  # the added log odds have the layout of the probabilities
    return replace(
        head,
        kind=kind,
        class_axis=head.class_axis if axis is None else axis,
        is_ranked=True,
        sorted_from="boxes" if is_detector else "classes",
        note=" ".join(filter(None, (best.note, head.note * ranks_product, _SCALED * best.is_scaled))),
    )


def _axis_in(source: ir.Value, value: ir.Value, axis: int | None, constants: Constants) -> int | None:
    """Return the axis of `source` that an axis of `value` is; only moves and a head lie between the two."""
    piece = whole(value)
    while piece.value is not source and axis is not None:
        before = step_back(piece, constants)
        node = unquantised(piece.value).producer()
        if before is None and node is not None and node.op_type in HEAD_OPERATORS and node.inputs[0] is not None:
            before = [replace(piece, value=node.inputs[0])]
        if before is None or len(before) != 1:
            return None
        piece = before[0]
    return None if axis is None else piece.axes[axis]


def _picks_by(indices: ir.Value, constants: Constants) -> bool:
    """Tell whether places that a TopK found are used to pick something else of the image, as boxes are."""
    seen: set[ir.Value] = set()
    open_values = [indices]
    while open_values:
        value = open_values.pop()
        if value in seen:
            continue
        seen.add(value)
        for use in value.uses():
            data = use.node.inputs[0]
            if has(use.node, Trait.PICKS) and use.idx == 1:
                if data is not None and elements_of(data, constants) is None:
                    return True
            else:
                open_values += use.node.outputs
    return False


def _farthest(sorting: Sorting, prepared: PreparedModel, *, rank: int) -> _Trail | None:
    """Return the last tensor of scores [N, ...] of this rank that the walk back meets before it is regrouped."""
    constants = prepared.probe.constants
    value, batch = sorting.what, dims_of(prepared.image)[:1]
    if value.shape is None:
        return None
    axis = {"TopK": None, "NonMaxSuppression": 1}.get(sorting.node.op_type, reduced_axis(sorting.node, constants))
    trail: _Trail | None = _Trail(whole(value), axis)
    best: _Trail | None = None
    while trail is not None:
        value = trail.piece.value
        dims = known_dims(value)
        fits = _is_real(value) and len(dims) == rank and dims[:1] == batch
        if fits and _is_cut_softmax(trail.piece):
            return replace(trail, note=_cut_note(trail.piece))
        # Rows that were regrouped are other boxes: several of a cell in one row.
        if fits and trail.piece.is_whole and (best is None or not trail.is_regrouped(best)):
            best = trail
        trail = None if is_product(prepared, value) else _step(trail, constants)
    return best


def _is_cut_softmax(piece: Piece) -> bool:
    """Tell whether some classes of a softmax are left out, as that of the background often is."""
    node = unquantised(piece.value).producer()
    if node is None or node.op_type != "Softmax" or piece.cut is None or not piece.is_exact:
        return False
    return node.attributes.get_int("axis", -1) % len(dims_of(piece.value)) == piece.cut.axis


def _cut_note(piece: Piece) -> str:
    assert piece.cut is not None
    cut, size = piece.cut, dims_of(piece.value)[piece.cut.axis]
    return f"The selection sees {cut.stop - cut.start} of its {size} classes, from class {cut.start} on."


def _is_made_of_probabilities(value: ir.Value, constants: Constants) -> bool:
    open_pieces = [whole(value)]
    while open_pieces:
        piece = open_pieces.pop()
        before = step_back(piece, constants)
        node = unquantised(piece.value).producer()
        if before is None and (node is None or node.op_type not in HEAD_OPERATORS):
            return False
        open_pieces += before or []
    return True


def _step(trail: _Trail, constants: Constants) -> _Trail | None:
    """Go one operator back, or return None at one that computes."""
    before = step_back(trail.piece, constants)
    if before is not None:
        return replace(trail, piece=before[0]) if len(before) == 1 else None
    value = unquantised(trail.piece.value)
    node = value.producer()
    source = _source(node, constants) if node is not None and node.inputs else None
    if node is None or source is None or source.shape is None:
        return None
    if takes_best(node):
        return _Trail(whole(source), reduced_axis(node, constants), trail.is_scaled, source)
    if of(node).sorts_by is not None or has(node, Trait.PICKS):
        kept = trail.axis() if len(source.shape) == len(dims_of(value)) else None
        return _Trail(whole(source), kept, trail.is_scaled, source)
    is_scaled = trail.is_scaled or len(_changing(node, constants)) > 1
    return replace(trail, piece=replace(trail.piece, value=source), is_scaled=is_scaled, start=source)


def _source(node: ir.Node, constants: Constants) -> ir.Value | None:
    """Return the input whose elements a node picks, selects or rescales by a constant."""
    index = of(node).sorts_by
    if index is not None:
        return node.inputs[index]
    if takes_best(node) or has(node, Trait.PICKS):
        return node.inputs[0]
    if has(node, ARITHMETIC | Trait.SELECTS):
        changing = _changing(node, constants)
        return changing[0] if len(changing) == 1 else _of_more_classes(changing) if node.op_type == "Mul" else None
    return None


def _changing(node: ir.Node, constants: Constants) -> list[ir.Value]:
    """Return the real inputs that depend on the image."""
    return [x for x in node.inputs if x is not None and elements_of(x, constants) is None and _is_real(x)]


def _is_real(value: ir.Value) -> bool:
    return value.dtype is not None and value.dtype.is_floating_point()


def _of_more_classes(factors: Sequence[ir.Value]) -> ir.Value | None:
    """Return the factor with several classes of a product with one number for each box: whether it holds an object."""
    known = [x for x in factors if x.shape is not None]
    if len(known) != 2 or len(known[0].shape or ()) != len(known[1].shape or ()):
        return None
    ones = [sum(dim == 1 for dim in dims_of(x)) for x in known]
    return None if ones[0] == ones[1] else known[0 if ones[0] < ones[1] else 1]
