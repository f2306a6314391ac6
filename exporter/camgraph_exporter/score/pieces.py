"""Follows a tensor back through operators that only move or cut its elements, to the tensors that it is made of.

A detector joins the outputs of its heads, reorders them and takes them apart again. A slice of a joined tensor
holds one of the parts; its positions along the axis tell which one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from camgraph_exporter.graph.constants import Constants, elements_of
from camgraph_exporter.graph.dims import Dim, Dims, dims_of
from camgraph_exporter.graph.traits import Trait, has
from camgraph_exporter.quantised.forms import is_dequantiser, is_quantiser

# What `step_back` follows.
TRACED = Trait.COPIES | Trait.RESHAPES | Trait.PERMUTES | Trait.CUTS | Trait.JOINS


@dataclass(frozen=True)
class Cut:
    """The elements from `start` up to `stop` along an axis."""

    axis: int
    start: int
    stop: int


@dataclass(frozen=True)
class Piece:
    """A tensor whose elements, or those of a cut of it, were moved to where the walk began.

    `axes`: for each axis where the walk began the one of `value` that it is, None where a reshape mixed it with others.
    `joined`: how many of its elements an image has in the last join that was passed, None where sizes are dynamic.
    `is_exact`: false where the piece holds more elements than those that were moved.
    """

    value: ir.Value
    axes: tuple[int | None, ...]
    cut: Cut | None = None
    joined: int | None = None
    is_exact: bool = True

    @property
    def is_whole(self) -> bool:
        """Tell whether all elements of the value are meant."""
        return self.is_exact and self.cut is None


def whole(value: ir.Value) -> Piece:
    """Return the piece of a value of known shape that is all of it."""
    return Piece(value, tuple(range(len(dims_of(value)))), joined=elements(value))


def part_of(value: ir.Value, axis: int, start: int, stop: int) -> Piece:
    """Return the piece of a value of known shape that has the elements from `start` up to `stop` along an axis."""
    piece = whole(value)
    return piece if (start, stop) == (0, dims_of(value)[axis]) else replace(piece, cut=Cut(axis, start, stop))


def step_back(piece: Piece, constants: Constants) -> list[Piece] | None:
    """Return the pieces that one move made this piece of, or None if its value is not moved but computed."""
    value = unquantised(piece.value)
    node = value.producer()
    if node is not None and overwrites_rows(node, constants):
        return _around_rows(node, piece, constants)
    if node is None or not has(node, TRACED) or value.shape is None:
        return None
    source = node.inputs[0]
    if source is None or source.shape is None or not dims_of(source):
        return None
    if has(node, Trait.JOINS):
        return _parts(node, piece)
    if has(node, Trait.COPIES):
        return [replace(piece, value=source)]
    if has(node, Trait.PERMUTES):
        return [_renamed(piece, source, permutation(node, len(dims_of(source))))]
    if has(node, Trait.RESHAPES):
        return [_renamed(piece, source, _kept_axes(dims_of(value), dims_of(source)))]
    cut = _split_at(node, value) if node.op_type == "Split" else _slice_at(node, source, constants)
    return None if cut is None else [_cut(piece, source, cut)]


def overwrites_rows(node: ir.Node, constants: Constants) -> bool:
    """Tell whether a node gives its input with constant rows along the first axis replaced, as assignments export."""
    if node.op_type != "ScatterND" or node.domain or node.attributes.get_string("reduction", "none") != "none":
        return False
    rows = elements_of(node.inputs[1], constants) if node.inputs[1] is not None else None
    return rows is not None and rows.ndim == 2 and rows.shape[1] == 1


def _around_rows(node: ir.Node, piece: Piece, constants: Constants) -> list[Piece] | None:
    """Return the piece before some rows were overwritten, if it has none of them."""
    source, rows = node.inputs[0], node.inputs[1]
    written = elements_of(rows, constants) if rows is not None else None
    if source is None or written is None or piece.cut is None or piece.cut.axis != 0 or not piece.is_exact:
        return None
    kept = range(piece.cut.start, piece.cut.stop)
    size = dims_of(piece.value)[0]
    is_kept = isinstance(size, int) and not any(int(row) % size in kept for row in written.reshape(-1))
    return [replace(piece, value=source)] if is_kept else None


def unquantised(value: ir.Value) -> ir.Value:
    """Return what a value is before it is quantised and dequantised."""
    node = value.producer()
    while node is not None and (is_quantiser(node) or is_dequantiser(node)) and node.inputs[0] is not None:
        value = node.inputs[0]
        node = value.producer()
    return value


def elements(value: ir.Value) -> int | None:
    """Return how many elements a value has for each image, None where its sizes are dynamic or not known."""
    if value.shape is None:
        return None
    sizes = [dim for dim in dims_of(value)[1:] if isinstance(dim, int)]
    return int(np.prod(sizes)) if len(sizes) == len(value.shape) - 1 else None


def _elements_in(value: ir.Value, cut: Cut | None) -> int | None:
    """Return how many elements of a cut a value has for each image."""
    count = elements(value)
    if count is None or cut is None:
        return count
    size = dims_of(value)[cut.axis]
    assert isinstance(size, int)
    return count // size * (cut.stop - cut.start) if size else 0


def _renamed(piece: Piece, source: ir.Value, order: Sequence[int | None]) -> Piece:
    """`order`: for each axis of the piece's value the one of `source` that it is."""
    axes = tuple(None if axis is None else order[axis] for axis in piece.axes)
    cut_axis = order[piece.cut.axis] if piece.cut is not None else None
    cut = replace(piece.cut, axis=cut_axis) if piece.cut is not None and cut_axis is not None else None
    lost = piece.cut is not None and cut is None
    return replace(piece, value=source, axes=axes, cut=cut, is_exact=piece.is_exact and not lost)


def permutation(node: ir.Node, rank: int) -> list[int]:
    """Return for each axis that a Transpose gives the one that it was."""
    perm = node.attributes.get("perm")
    return list(reversed(range(rank))) if perm is None else [int(i) for i in perm.as_ints()]


def _kept_axes(dims: Dims, source: Dims) -> list[int | None]:
    """Return for each axis the one of the reshaped tensor that has its size and as many elements before or after it."""
    before, after = _matching(dims, source), _matching(dims[::-1], source[::-1])
    last = len(source) - 1
    pairs = zip(before, reversed(after), strict=True)
    return [axis if axis is not None or other is None else last - other for axis, other in pairs]


def _matching(dims: Dims, source: Dims) -> list[int | None]:
    """Return for each axis the one of `source` that has its size and as many elements before it."""
    places = {place: axis for axis, place in enumerate(_places(source)) if place is not None}
    return [None if place is None else places.get(place) for place in _places(dims)]


def _places(dims: Dims) -> list[tuple[tuple[tuple[str, ...], int], Dim] | None]:
    """Return for each axis the size of all axes before it, and its own; None for an axis of one element."""
    places: list[tuple[tuple[tuple[str, ...], int], Dim] | None] = []
    symbols: tuple[str, ...] = ()
    count = 1
    for dim in dims:
        places.append(None if dim == 1 else ((symbols, count), dim))
        if isinstance(dim, int):
            count *= dim
        else:
            symbols = tuple(sorted((*symbols, dim)))
    return places


def _parts(node: ir.Node, piece: Piece) -> list[Piece] | None:
    """Return the joined tensors that a piece of the joined one covers."""
    inputs = [x for x in node.inputs if x is not None and x.shape is not None]
    if len(inputs) != len(node.inputs):
        return None
    axis = node.attributes.get_int("axis", 0) % len(dims_of(piece.value))
    sizes = [dims_of(x)[axis] for x in inputs]
    if piece.cut is None or piece.cut.axis != axis:
        return [replace(piece, value=x, joined=_elements_in(x, piece.cut)) for x in inputs]
    parts, start = [], 0
    for x, size in zip(inputs, sizes, strict=True):
        if not isinstance(size, int):
            return None
        first, last = max(piece.cut.start - start, 0), min(piece.cut.stop - start, size)
        if first < last:
            cut = None if (first, last) == (0, size) else Cut(axis, first, last)
            parts.append(replace(piece, value=x, cut=cut))
        start += size
    return parts or None


def _cut(piece: Piece, source: ir.Value, cut: Cut) -> Piece:
    """Put a piece that is cut from `source` in terms of that; a second cut along another axis is left out."""
    inner = piece.cut
    if inner is not None and inner.axis == cut.axis:
        cut = Cut(cut.axis, cut.start + inner.start, cut.start + inner.stop)
    if dims_of(source)[cut.axis] == cut.stop - cut.start and (inner is None or inner.axis != cut.axis):
        return replace(piece, value=source)
    lost = inner is not None and inner.axis != cut.axis
    return replace(piece, value=source, cut=cut, is_exact=piece.is_exact and not lost)


def _split_at(node: ir.Node, value: ir.Value) -> Cut | None:
    axis = node.attributes.get_int("axis", 0) % len(dims_of(value))
    index = list(node.outputs).index(value)
    sizes = [dims_of(y)[axis] for y in node.outputs[: index + 1] if y.shape is not None]
    numbers = [size for size in sizes if isinstance(size, int)]
    return Cut(axis, sum(numbers[:-1]), sum(numbers)) if len(numbers) == index + 1 else None


def _slice_at(node: ir.Node, source: ir.Value, constants: Constants) -> Cut | None:
    """Return the range of a Slice along the one axis that it cuts, in steps of one; else None."""
    inputs = [elements_of(x, constants) for x in node.inputs[1:]]
    starts, stops, axes, steps = [*inputs, None, None, None, None][:4]
    if starts is None or stops is None or starts.size != 1 or (steps is not None and (steps != 1).any()):
        return None
    dims = dims_of(source)
    axis = int(axes.reshape(-1)[0]) % len(dims) if axes is not None else 0
    size = dims[axis]
    if not isinstance(size, int):
        return None
    start, stop = (int(np.clip(i + size if i < 0 else i, 0, size)) for i in (int(starts.flat[0]), int(stops.flat[0])))
    return Cut(axis, start, stop) if start < stop else None
