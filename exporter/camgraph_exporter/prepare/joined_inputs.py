"""Joins images of several inputs, such as colours and flow, into one input with the channels of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

import numpy as np
import onnx_ir as ir

from camgraph_core.errors import UsageError
from camgraph_exporter.errors import UnknownTensorError, closest
from camgraph_exporter.frontends.onnx_file import LoadedModel
from camgraph_exporter.graph.constants import add_constant
from camgraph_exporter.graph.dims import Dim, known_dims, shape_text
from camgraph_exporter.image.layout import channel_axis

_SPLIT_BY_INPUT = 13  # the opset from which Split takes sizes as an input


def join_inputs(loaded: LoadedModel, names: Sequence[str]) -> LoadedModel:
    """Return the model with one input in place of some, whose channels it has one after the other.

    Args:
        loaded: A model with several images for inputs.
        names: Those inputs, in the order of their channels; none leaves the model as it is.

    Raises:
        UnknownTensorError: The model has no such input.
        UsageError: They are not images of one size.

    """
    if not names:
        return loaded
    model = loaded.model.clone()
    inputs = {str(value.name): value for value in model.graph.inputs}
    for name in names:
        if name not in inputs:
            raise UnknownTensorError(f"There is no input {name!r} to join.{closest(name, inputs)}")
    if len(set(names)) != len(names) or len(names) < 2:
        raise UsageError("--join takes two inputs or more, each once.")
    parts = [inputs[name] for name in names]
    axis, counts = _channels(parts)
    joined = _joined(parts, axis, counts)
    node = _split(model, joined, axis, counts)
    for part, output in zip(parts, node.outputs, strict=True):
        part.replace_all_uses_with(output)
    place = min(model.graph.inputs.index(part) for part in parts)
    for part in parts:
        model.graph.inputs.remove(part)
    model.graph.inputs.insert(place, joined)
    model.graph.insert_before(model.graph[0], node)
    ends = [0, *accumulate(counts)]
    said = ", ".join(f"{a}..{b - 1} those of {name!r}" for (a, b), name in zip(pairwise(ends), names, strict=True))
    note = f"The inputs are one, {joined.name!r}: its channels are {said}."
    return replace(loaded, model=model, notes=(*loaded.notes, note), file=None)


def _channels(parts: Sequence[ir.Value]) -> tuple[int, list[int]]:
    """Return the axis of the channels, and how many each input has."""
    shapes = list(map(known_dims, parts))
    axes = {channel_axis(part) if len(shape) in (4, 5) else None for part, shape in zip(parts, shapes, strict=True)}
    axis = next(iter(axes))
    rests = {tuple(_size(dim) for i, dim in enumerate(shape) if i != axis) for shape in shapes}
    counts = [shape[axis] for shape in shapes if axis is not None]
    numbers = [count for count in counts if isinstance(count, int)]
    if axis is None or len(axes) > 1 or len(rests) > 1 or len({part.dtype for part in parts}) > 1:
        listed = ", ".join(f"{part.name} {shape_text(part)}" for part in parts)
        raise UsageError(f"Inputs are joined along their channels, so all else must be equal, but they are: {listed}.")
    if len(numbers) < len(counts):
        raise UsageError("Inputs whose number of channels is open cannot be joined. Export the model with theirs.")
    return axis, numbers


def _size(dim: Dim) -> Dim:
    """Return a size; sizes that are open may be equal, whatever they are called."""
    return dim if isinstance(dim, int) else "?"


def _joined(parts: Sequence[ir.Value], axis: int, counts: Sequence[int]) -> ir.Value:
    shape = list(parts[0].shape or ())
    shape[axis] = sum(counts)
    return ir.Value(name="_".join(str(part.name) for part in parts), shape=ir.Shape(shape), type=parts[0].type)


def _split(model: ir.Model, joined: ir.Value, axis: int, counts: Sequence[int]) -> ir.Node:
    sizes = [] if model.opset_imports.get("", 0) < _SPLIT_BY_INPUT else [np.array(counts, np.int64)]
    constants = [add_constant(model.graph, "join_sizes", array) for array in sizes]
    attributes: dict[str, int | list[int]] = {"axis": axis} if sizes else {"axis": axis, "split": list(counts)}
    node = ir.node("Split", [joined, *constants], attributes, num_outputs=len(counts), name="camgraph/prepared/join")
    for number, output in enumerate(node.outputs):
        output.name = f"camgraph/prepared/join_{number}"
    return node
