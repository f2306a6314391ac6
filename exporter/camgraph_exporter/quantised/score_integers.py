"""The integers of a score itself: that they end somewhere must not end its gradient."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from camgraph_exporter.graph.element_types import SMALL_INTEGERS
from camgraph_exporter.graph.traits import Trait, named, of
from camgraph_exporter.graph.walk import depends_on_no_input
from camgraph_exporter.quantised.forms import (
    is_dequantiser,
    is_quantiser,
    real_form,
)

_FORWARDS = Trait.MOVES | Trait.COPIES


def integers_of(scores: Iterable[ir.Value]) -> set[ir.Value]:
    """Return the integers that scores are copies of, but for a constant that is added: the scores' own quantisation."""
    found: set[ir.Value] = set()
    for score in scores:
        value: ir.Value | None = score
        while value is not None:
            if value.dtype in SMALL_INTEGERS:
                found.add(value)
            node = value.producer()
            value = _shifted(node) if node is not None else None
    return found


def _shifted(node: ir.Node) -> ir.Value | None:
    """Return what a node moves, rounds or adds a constant to; None if it computes otherwise."""
    form = real_form(node)
    operator = named(form.op_type) if form is not None else of(node)
    if operator.traits & Trait.SHIFTS:
        terms = [operand.value for operand in form.operands] if form is not None else list(node.inputs)
        varying = [x for x in terms if x is not None and not depends_on_no_input(x)]
        return varying[0] if len(varying) == 1 else None
    moved = operator.traits & _FORWARDS or is_dequantiser(node) or is_quantiser(node)
    return node.inputs[0] if moved and node.inputs else None
