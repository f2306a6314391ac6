"""Refuses nodes that compute with quantised integers as if they were plain numbers: they have no derivative."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from camgraph_exporter.errors import LATER_LAYER, GradientError
from camgraph_exporter.graph.element_types import SMALL_INTEGERS
from camgraph_exporter.graph.traits import Trait, of
from camgraph_exporter.quantised.forms import (
    quantisation_of,
)

_KNOWS_INTEGERS = Trait.KEEPS_SCALE | Trait.QUANTISES | Trait.DEQUANTISES


def check_integers(nodes: Iterable[ir.Node], values: set[ir.Value]) -> None:
    """Raise for a node that computes with quantised integers as if they were plain numbers.

    Raises:
        GradientError: an operator on the path between layer and score that has no meaning on quantised integers.

    """
    for node in nodes:
        small = [
            value for value in node.inputs if value in values and value is not None and value.dtype in SMALL_INTEGERS
        ]
        operator = of(node)
        knows_integers = bool(operator.twin) or operator.traits & _KNOWS_INTEGERS
        if any(map(quantisation_of, small)) and not knows_integers:
            raise GradientError(
                f"{node.op_type} node {node.name or node.outputs[0].name!r} computes with quantised integers "
                "without their scale, which has no "
                f"derivative. {LATER_LAYER}."
            )
