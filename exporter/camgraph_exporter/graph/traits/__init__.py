"""What an operator is: one row per operator, from which everything else that asks about operators follows.

Ask for traits, not for names: `has(node, Trait.ACTIVATION | Trait.NORMALISES)`. A new operator needs its row only, in
the file of its family. One without a row has no traits.
"""

from __future__ import annotations

from typing import Protocol

from camgraph_exporter.graph.traits import elementwise, integers, others, places, sums
from camgraph_exporter.graph.traits.trait import IMPLIED, MEANINGS, MICROSOFT, Operator, Trait

__all__ = [
    "IMPLIED",
    "MEANINGS",
    "MICROSOFT",
    "OPERATORS",
    "Operator",
    "Trait",
    "has",
    "is_stop",
    "named",
    "names",
    "of",
]

_FAMILIES = (elementwise, places, sums, integers, others)
# By domain and name.
OPERATORS = {(row.domain, row.name): row for family in _FAMILIES for row in family.ROWS}


class _Node(Protocol):
    """A node of onnx_ir or of onnx."""

    @property
    def domain(self) -> str: ...
    @property
    def op_type(self) -> str: ...


def named(name: str, domain: str = "") -> Operator:
    """Return the row of an operator."""
    domain = "" if domain == "ai.onnx" else domain
    return OPERATORS.get((domain, name)) or Operator(name, domain=domain)


def of(node: _Node) -> Operator:
    """Return the row of a node's operator."""
    return named(node.op_type, node.domain)


def has(node: _Node, traits: Trait) -> bool:
    """Tell whether a node's operator has at least one of some traits."""
    return bool(of(node).traits & traits)


def is_stop(node: _Node) -> bool:
    """Tell whether an operator has no derivative by its nature, so that no gradient passes it: a stop, not a gap."""
    return bool(of(node).stop)


def names(traits: Trait, *, without: Trait = Trait.NONE) -> list[str]:
    """Return the operators, whatever their domain, with at least one of some traits and none of others."""
    rows = OPERATORS.values()
    return list(dict.fromkeys(row.name for row in rows if row.traits & traits and not row.traits & without))
