"""Tells the registry of the operators through which no gradient passes."""

from camgraph_exporter.graph.stops import STOPS
from camgraph_exporter.vjp.registry import nondifferentiable

for _op_type, _why in STOPS.items():
    nondifferentiable(_op_type, why=_why)
