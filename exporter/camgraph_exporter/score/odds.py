"""The log odds of probabilities that a model makes by sigmoids and products of them, as a tensor of their own.

The odds of a probability p are p / (1 - p); their logarithm is what its sigmoid is taken of. Of a product
p = sigmoid(o) sigmoid(c) it is

    log p / (1 - p) = -log(e^-o + e^-c + e^-(o + c)) = c - softplus(softplus(c) - o).

It rises with p alone, so it ranks boxes as the product does, and unlike that it has a slope wherever p is near to 0 or
1: the derivatives by o and c together are between 1 and 2. The sum o + c, which is simpler, ranks boxes otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.traits import has
from camgraph_exporter.graph.walk import required
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.score.added_score import append, copy
from camgraph_exporter.score.pieces import TRACED, Piece, overwrites_rows, step_back, unquantised, whole
from camgraph_exporter.score.stretch import is_fixed


def sources_of(prepared: PreparedModel, piece: Piece) -> list[Piece]:
    """Return the computed values that a piece of a tensor was moved from, in the order of the tensor."""
    before = step_back(piece, prepared.probe.constants)
    return [piece] if before is None else [source for part in before for source in sources_of(prepared, part)]


def is_probable(prepared: PreparedModel, piece: Piece) -> bool:
    """Tell whether a piece holds nothing but sigmoids, and products of them."""
    return all(_is_probability(prepared, source.value) for source in sources_of(prepared, piece))


def is_product(prepared: PreparedModel, value: ir.Value) -> bool:
    """Tell whether a tensor holds nothing but sigmoids and products of them, and a product is among them."""
    if value.shape is None or not dims_of(value):
        return False
    piece = whole(value)
    sources = sources_of(prepared, piece)
    return any(_factors(prepared, source.value) for source in sources) and is_probable(prepared, piece)


def log_odds(prepared: PreparedModel, value: ir.Value, pieces: Iterable[Piece]) -> ir.Value:
    """Return a tensor in the layout of `value` that has the log odds of the probabilities in some pieces of it.

    Elements outside of the pieces are of no use, and no gradient comes to what they were made from.
    """
    wanted = {source.value for piece in pieces for source in sources_of(prepared, piece)}
    return moved_alike(prepared, value, {source: _odds_of(prepared, source) for source in wanted})


def moved_alike(prepared: PreparedModel, value: ir.Value, swapped: dict[ir.Value, ir.Value]) -> ir.Value:
    """Return a tensor that is moved together like `value`, of other sources: `swapped`, and zeros for the rest."""
    if value in swapped:
        return swapped[value]
    node = unquantised(value).producer()
    is_move = node is not None and (has(node, TRACED) or overwrites_rows(node, prepared.probe.constants))
    if node is None or not is_move or is_fixed(prepared, value):
        swapped[value] = _zeros(prepared, value)
        return swapped[value]
    for x in node.inputs:
        if x is not None and not is_fixed(prepared, x):
            moved_alike(prepared, x, swapped)
    copy(prepared, node, swapped)
    swapped[value] = swapped[unquantised(value)]
    return swapped[value]


def of_product(prepared: PreparedModel, one: ir.Value, other: ir.Value) -> ir.Value:
    """Return the log odds of a product of two probabilities, by the log odds of both, of which one may have fewer."""
    one, other = (one, other) if _ones(one) <= _ones(other) else (other, one)

    def new(op_type: str, *inputs: ir.Value) -> ir.Value:
        return append(prepared, op_type, inputs, {}, dims_of(one), one)

    return new("Sub", one, new("Softplus", new("Sub", new("Softplus", one), other)))


def _ones(value: ir.Value) -> int:
    return sum(dim == 1 for dim in dims_of(value))


def _is_probability(prepared: PreparedModel, value: ir.Value) -> bool:
    node = unquantised(value).producer()
    if node is not None and node.op_type == "Sigmoid" and node.domain == "":
        return True
    factors = _factors(prepared, value)
    return len(factors) == 2 and all(is_probable(prepared, whole(x)) for x in factors)


def _factors(prepared: PreparedModel, value: ir.Value) -> list[ir.Value]:
    """Return the two factors of a product of which one has a number for each of the other's, or for several."""
    node = unquantised(value).producer()
    if node is None or node.op_type != "Mul" or node.domain:
        return []
    factors = [x for x in node.inputs if x is not None and x.shape is not None and not is_fixed(prepared, x)]
    ranks = {len(dims_of(x)) for x in factors}
    if len(factors) != 2 or ranks != {len(dims_of(value))}:
        return []
    return factors if any(dims_of(x) == dims_of(value) for x in factors) else []


def _odds_of(prepared: PreparedModel, value: ir.Value) -> ir.Value:
    """Return the log odds of a value that `_is_probability`."""
    factors = _factors(prepared, value)
    if not factors:
        node = unquantised(value).producer()
        assert node is not None, "A probability is made by a sigmoid."
        return required(node, 0)
    one, other = (log_odds(prepared, x, [whole(x)]) for x in factors)
    return of_product(prepared, one, other)


def _zeros(prepared: PreparedModel, value: ir.Value) -> ir.Value:
    """Return zeros of the shape of a value, on which nothing that is made of them depends."""
    assert value.dtype is not None
    rank = len(dims_of(value))
    shape = append(prepared, "Shape", [value], {}, (rank,), value)
    shape.type = ir.TensorType(ir.DataType.INT64)
    zero = ir.tensor(np.zeros(1, value.dtype.numpy()))
    return append(prepared, "ConstantOfShape", [shape], {"value": zero}, dims_of(value), value)
