"""Estimates the arithmetic of a node: multiply-accumulates of one image, which dominate the time of a vision model."""

from __future__ import annotations

import math

import onnx_ir as ir

from camgraph_exporter.graph.traits import Trait, of


def macs(node: ir.Node) -> float:
    """Return the multiply-accumulates of one node for a batch of one; zero for operators that only move or scale."""
    operator = of(node)
    if operator.traits & Trait.PRODUCT and operator.weights is not None:
        places = node.inputs[0] if operator.traits & Trait.TRANSPOSED else node.outputs[0]
        return _places(places) * _size(node.inputs[operator.weights])
    if operator.traits & Trait.PRODUCT and node.op_type != "Einsum":
        inner = node.inputs[0]
        return _size(node.outputs[0]) * (_last(inner) or 0)
    return 0.0


def _dims(value: ir.Value | None) -> list[int]:
    if value is None or value.shape is None:
        return []
    return [dim if isinstance(dim, int) else 1 for dim in value.shape]


def _size(value: ir.Value | None) -> float:
    return float(math.prod(_dims(value)))


def _places(value: ir.Value | None) -> float:
    return float(math.prod(_dims(value)[2:]))


def _last(value: ir.Value | None) -> int | None:
    dims = _dims(value)
    return dims[-1] if dims else None
