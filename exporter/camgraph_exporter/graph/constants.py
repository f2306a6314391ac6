"""Constants of a graph: what their elements are, and how new ones are added under names that nothing else has."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import onnx_ir as ir

# No exporter of models writes names with it; what an earlier export of ours wrote are initializers.
_PREFIX = "camgraph/prepared/"

# By the name of a value: its elements, which runs found to be the same for every image.
Constants = Mapping[str, np.ndarray]


def elements_of(value: ir.Value | None, found: Constants = MappingProxyType({})) -> np.ndarray | None:
    """Return the elements of a value that the file gives or that runs `found`; None for any other, and for None."""
    if value is None:
        return None
    return value.const_value.numpy() if value.const_value is not None else found.get(str(value.name))


def add_constant(graph: ir.Graph, stem: str, array: np.ndarray) -> ir.Value:
    """Register an initializer and return it; its name begins with `stem` after a prefix of ours."""
    names = itertools.chain([f"{_PREFIX}{stem}"], (f"{_PREFIX}{stem}_{i}" for i in itertools.count(1)))
    tensor = ir.tensor(array, name=next(name for name in names if name not in graph.initializers))
    value = ir.Value(
        name=tensor.name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor
    )
    graph.register_initializer(value)
    return value
