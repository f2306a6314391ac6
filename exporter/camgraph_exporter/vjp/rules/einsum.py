"""Einsum: the cotangent of one operand is the Einsum of g with the other operands."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from camgraph_exporter.errors import LATER_LAYER, GradientError
from camgraph_exporter.graph.dims import Dim, dims_of
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.axes import identity_matrix
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.registry import Cotangents, vjp


@dataclass(frozen=True)
class _Term:
    """A tensor and the letter of each of its axes."""

    value: ir.Value
    letters: str


@vjp("Einsum")
def einsum(op: Backward, node: NodeView, g: ir.Value) -> Cotangents:
    """DA = the sum over all letters that A lacks of g times the other operands; constant along what only A has."""
    operands, out, targets = _read(node)
    sizes = _sizes(operands)
    gradient = _without_ones(op, _Term(g, targets + out), sizes)
    factors = [_without_ones(op, operand, sizes) for operand in operands]
    return [
        _place(op, _contract(op, [gradient, *factors[:i], *factors[i + 1 :]], operand, targets, sizes), operand, sizes)
        if node.needs(i)
        else None
        for i, operand in enumerate(operands)
    ]


def _read(node: NodeView) -> tuple[list[_Term], str, str]:
    """Return the operands and the output's letters, ellipses spelled out, and one more letter for the targets."""
    equation = node.attr_text("equation").replace(" ", "")
    left, arrow, right = equation.partition("->")
    values = [node.input(i) for i in range(node.num_inputs)]
    patterns = left.split(",")
    hidden = [
        len(dims_of(value)) - len(pattern.replace("...", "")) for value, pattern in zip(values, patterns, strict=True)
    ]
    free = [letter for letter in string.ascii_letters if letter not in equation]
    if len(free) <= max(hidden):
        raise GradientError(
            f"The equation of Einsum node {node.name!r} uses more letters than there are. {LATER_LAYER}."
        )
    dots = "".join(free[: max(hidden)])
    terms = [
        _Term(value, pattern.replace("...", dots[len(dots) - count :]))
        for value, pattern, count in zip(values, patterns, hidden, strict=True)
    ]
    # Without an arrow: what the ellipses stand for, then every letter that occurs once, in the order of the alphabet.
    once = Counter(letter for letter in left if letter.isalpha())
    shown = right if arrow else "..." + "".join(sorted(letter for letter, count in once.items() if count == 1))
    return terms, shown.replace("...", dots), free[max(hidden)]


def _sizes(terms: Iterable[_Term]) -> dict[str, Dim]:
    """Return the size of each letter: a size of 1 gives way to any other, as in broadcasting."""
    sizes: dict[str, Dim] = {}
    for term in terms:
        for letter, dim in zip(term.letters, dims_of(term.value), strict=True):
            if sizes.get(letter, 1) == 1:
                sizes[letter] = dim
    return sizes


def _is_broadcast(letter: str, dim: Dim, sizes: Mapping[str, Dim]) -> bool:
    return dim == 1 and sizes.get(letter, 1) != 1


def _without_ones(op: Backward, term: _Term, sizes: Mapping[str, Dim]) -> _Term:
    """Drop axes of size 1 whose letter is larger elsewhere: broadcast ones and un-expanded ones alike."""
    dims = dims_of(term.value)
    ones = [i for i, letter in enumerate(term.letters) if _is_broadcast(letter, dims[i], sizes)]
    if not ones:
        return term
    letters = "".join(letter for i, letter in enumerate(term.letters) if i not in ones)
    return _Term(op.Squeeze(term.value, op.ints(*ones)), letters)


def _contract(op: Backward, factors: Sequence[_Term], operand: _Term, targets: str, sizes: Mapping[str, Dim]) -> _Term:
    """Multiply the factors, and sum over every letter but the targets and those of the operand."""
    carried = {letter for factor in factors for letter in factor.letters}
    own = zip(operand.letters, dims_of(operand.value), strict=True)
    kept = [letter for letter, dim in own if letter in carried and not _is_broadcast(letter, dim, sizes)]
    wanted = targets + "".join(dict.fromkeys(kept))
    if len(factors) == 1:
        only = factors[0]
        order = [only.letters.index(letter) for letter in wanted]
        moved = order != sorted(order)
        return _Term(op.Transpose(only.value, perm=order) if moved else only.value, wanted)
    equation = ",".join(factor.letters for factor in factors) + "->" + wanted
    return _Term(op.Einsum(*(factor.value for factor in factors), equation=equation), wanted)


def _place(op: Backward, product: _Term, operand: _Term, sizes: Mapping[str, Dim]) -> ir.Value:
    """Bring a product to the operand's axes: size 1 where it is constant, a diagonal where a letter repeats."""
    first = {letter: operand.letters.index(letter) for letter in operand.letters}
    present = {first[letter] for letter in product.letters[1:]}
    order = [0, *(product.letters.index(operand.letters[axis]) for axis in sorted(present))]
    g = op.Transpose(product.value, perm=order) if order != sorted(order) else product.value
    absent = [axis + 1 for axis in range(len(operand.letters)) if axis not in present]
    g = op.Unsqueeze(g, op.ints(*absent)) if absent else g
    for axis, letter in enumerate(operand.letters):
        if axis != first[letter] and sizes[letter] != 1:
            g = op.Mul(g, _diagonal(op, operand, first[letter], axis, g))
    return g


def _diagonal(op: Backward, operand: _Term, row: int, column: int, like: ir.Value) -> ir.Value:
    """Return ones where two axes of the operand have the same index, with size 1 on its other axes."""
    rank = len(operand.letters)
    identity = identity_matrix(op, op.size_vector(operand.value, row), like)
    others = [axis for axis in range(rank) if axis not in {row, column}]
    return op.Unsqueeze(identity, op.ints(*others)) if others else identity
