"""Fixes inputs that are no images: scale factors, thresholds, a training switch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from camgraph_exporter.errors import Problems, UnknownTensorError, closest
from camgraph_exporter.frontends.onnx_file import LoadedModel
from camgraph_exporter.graph.dims import dims_of
from camgraph_runtime.errors import UsageError


def fix_inputs(loaded: LoadedModel, values: Mapping[str, Sequence[float]]) -> LoadedModel:
    """Return the model with constants in place of the named inputs; one number fills an input of any shape.

    Raises:
        UnknownTensorError: the model has no such input.
        UsageError: the numbers do not fill the input. Several problems are told together.

    """
    if not values:
        return loaded
    model, problems = loaded.model.clone(), Problems()
    inputs = {str(value.name): value for value in model.graph.inputs}
    for name, numbers in values.items():
        with problems.collect():
            if name not in inputs:
                raise UnknownTensorError(f"There is no input {name!r} to fix.{closest(name, inputs)}")
            _fix(model.graph, inputs[name], numbers)
    problems.raise_all()
    fixed = ", ".join(f"{name!r} at {_text(numbers)}" for name, numbers in values.items())
    notes = (*loaded.notes, f"The model's input is fixed: {fixed}.")
    return replace(loaded, model=model, notes=notes, is_as_stored=False)


def _fix(graph: ir.Graph, value: ir.Value, numbers: Sequence[float]) -> None:
    dtype = (value.dtype or ir.DataType.FLOAT).numpy()
    dims = dims_of(value) if value.shape is not None else (len(numbers),)
    # An open size is one, as that of a batch, unless the numbers tell it.
    shape = [dim if isinstance(dim, int) and dim >= 0 else 1 for dim in dims]
    if len(shape) == 1 and not isinstance(dims[0], int):
        shape = [len(numbers)]
    if len(numbers) not in (1, math.prod(shape)):
        raise UsageError(
            f"Input {value.name!r} has the shape {list(dims)}, which {len(numbers)} numbers do not fill. "
            f"Give one number, or {math.prod(shape)}."
        )
    array = np.broadcast_to(np.asarray(numbers, dtype=dtype).reshape(-1 if len(numbers) > 1 else ()), math.prod(shape))
    tensor = ir.tensor(array.reshape(shape).copy(), name=str(value.name))
    graph.inputs.remove(value)
    value.const_value, value.shape, value.type = tensor, ir.Shape(shape), ir.TensorType(tensor.dtype)
    graph.register_initializer(value)


def _text(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
