"""Tells the registry of the operators through which no gradient passes; their rows of traits say why."""

from camgraph_exporter.graph.traits import OPERATORS
from camgraph_exporter.vjp.registry import nondifferentiable

for _row in OPERATORS.values():
    if _row.stop:
        nondifferentiable(_row.name, domain=_row.domain, why=_row.stop)
