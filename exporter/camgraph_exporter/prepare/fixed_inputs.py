"""Fixes inputs beside the image: scale factors, tables, prompts, a second image, a training switch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from camgraph_exporter.errors import ModelFileError, Problems, UnknownTensorError, closest
from camgraph_exporter.frontends.input_values import Values, fill
from camgraph_exporter.frontends.onnx_file import LoadedModel
from camgraph_exporter.graph.constants import add_constant
from camgraph_exporter.graph.dims import Dims, dims_of, known_dims
from camgraph_exporter.prepare.prepare import prepare

_SHOWN = 8


def fix_inputs(loaded: LoadedModel, values: Mapping[str, Values], *, sizes: Sequence[int] | None = None) -> LoadedModel:
    """Return the model with constants in place of the named inputs; one number fills an input of any shape.

    An input that has the image's batch in front, by its name or because the model runs in no other way, takes one row,
    which stands for every image. Any other keeps the shape that it is given.

    Args:
        loaded: a model with further inputs.
        values: numbers, or an array, for each of them.
        sizes: height and width to try the model with where the image leaves them open.

    Raises:
        UnknownTensorError: the model has no such input.
        UsageError: the values do not fill the input. Several problems are told together.

    """
    if not values:
        return loaded
    inputs, problems = {str(value.name): value for value in loaded.model.graph.inputs}, Problems()
    image = _image(loaded.model, values)
    batch = dims_of(image)[0] if image is not None else None
    arrays: dict[str, np.ndarray] = {}
    for name, given in values.items():
        with problems.collect():
            if name not in inputs:
                raise UnknownTensorError(f"There is no input {name!r} to fix.{closest(name, inputs)}")
            arrays[name] = fill(inputs[name], given, batch)
    problems.raise_all()

    sure = {name for name in arrays if batch is not None and known_dims(inputs[name])[:1] == (batch,)}
    sure = {name for name in sure if len(arrays[name]) == 1}
    may = {name for name, array in arrays.items() if batch is not None and _may_follow(array, known_dims(inputs[name]))}
    model = _fixed(loaded.model, arrays, sure)
    if may - sure and not _runs(model, sizes):
        sure |= may
        model = _fixed(loaded.model, arrays, sure)
    said = ", ".join(f"{name!r} at {_text(array)}" for name, array in arrays.items())
    notes = [f"The model's input is fixed: {said}."]
    if sure:
        notes.append(f"The values are the same for every image of a batch: {', '.join(map(repr, sorted(sure)))}.")
    return replace(loaded, model=model, notes=(*loaded.notes, *notes), file=None)


def _image(model: ir.Model, fixed: Mapping[str, Values]) -> ir.Value | None:
    """Return the one input that is left over, which is the image."""
    weights = set(model.graph.initializers)
    left = [value for value in model.graph.inputs if value.name not in fixed and value.name not in weights]
    return left[0] if len(left) == 1 and left[0].shape is not None and len(left[0].shape) >= 3 else None


def _may_follow(array: np.ndarray, dims: Dims) -> bool:
    """Tell whether one row may stand for the rows of a batch: the model leaves their number open."""
    return len(dims) > 0 and isinstance(dims[0], str) and len(array) == 1


def _runs(model: ir.Model, sizes: Sequence[int] | None) -> bool:
    """Tell whether the model takes batches of several images with its values as they are."""
    try:
        prepare(model.clone(), sizes=sizes)
    except ModelFileError:
        return False
    return True


def _fixed(source: ir.Model, arrays: Mapping[str, np.ndarray], repeated: set[str]) -> ir.Model:
    """Return a copy with constants for inputs, of which some are repeated for each image."""
    model = source.clone()
    inputs = {str(value.name): value for value in model.graph.inputs}
    image = _image(model, arrays)
    for name, array in arrays.items():
        value = inputs[name]
        model.graph.inputs.remove(value)
        if name in repeated and image is not None:
            value.replace_all_uses_with(_repeated(model.graph, name, array, image), replace_graph_outputs=True)
        else:
            value.const_value = ir.tensor(array, name=name)
            value.shape, value.type = ir.Shape(array.shape), ir.TensorType(value.const_value.dtype)
            model.graph.register_initializer(value)
    return model


def _repeated(graph: ir.Graph, name: str, row: np.ndarray, image: ir.Value) -> ir.Value:
    """Return one row [1, ...] for each image: [N, ...]."""
    shape = ir.node("Shape", [image], name=f"camgraph/prepared/{name}/Shape")
    first = add_constant(graph, f"{name}_first_axis", np.zeros(1, np.int64))
    batch = ir.node("Gather", [shape.outputs[0], first], {"axis": 0}, name=f"camgraph/prepared/{name}/Gather")
    rest = add_constant(graph, f"{name}_rest", np.ones(row.ndim - 1, np.int64))
    whole = ir.node("Concat", [batch.outputs[0], rest], {"axis": 0}, name=f"camgraph/prepared/{name}/Concat")
    one = add_constant(graph, f"{name}_row", row)
    # Opsets before 8 have no Expand.
    tile = ir.node("Tile", [one, whole.outputs[0]], name=f"camgraph/prepared/{name}/Tile")
    for node in (shape, batch, whole):
        node.outputs[0].name = f"{node.name}_output"
    tile.outputs[0].name = name
    graph.insert_before(graph[0], [shape, batch, whole, tile])
    return tile.outputs[0]


def _text(array: np.ndarray) -> str:
    if array.size > _SHOWN:
        return f"{array.size} values of shape {list(array.shape)}"
    return ", ".join(f"{number:g}" for number in array.reshape(-1).astype(float))
