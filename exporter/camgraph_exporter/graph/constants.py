"""Adds constants to a graph that is still being prepared, under names that nothing else has."""

from __future__ import annotations

import itertools

import numpy as np
import onnx_ir as ir

# No exporter of models writes names with it; what an earlier export of ours wrote are initializers.
_PREFIX = "camgraph/prepared/"


def add_constant(graph: ir.Graph, stem: str, array: np.ndarray) -> ir.Value:
    """Register an initializer and return it; its name begins with `stem` after a prefix of ours."""
    names = itertools.chain([f"{_PREFIX}{stem}"], (f"{_PREFIX}{stem}_{i}" for i in itertools.count(1)))
    tensor = ir.tensor(array, name=next(name for name in names if name not in graph.initializers))
    value = ir.Value(
        name=tensor.name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor
    )
    graph.register_initializer(value)
    return value
