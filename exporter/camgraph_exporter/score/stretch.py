"""Runs a stretch of the graph alone: what lies between two values, on numbers that are fed to the first.

This tells what the end of a model computes, however it is written.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

import numpy as np
import onnx
import onnx_ir as ir
from onnx import numpy_helper

from camgraph_core.errors import CamgraphError
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.walk import reads
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.running.engine import load_engine
from camgraph_exporter.storage import weights_folder
from camgraph_runtime.run.engine import Engine

_MOST_STEPS = 64  # nodes of a head; the longest spelling of a softmax that was seen has 12
_LARGEST = 1 << 24  # elements of the values at both ends


class Stretch:
    """The function from one value to another. Both have the shapes that they had in the probe's first run."""

    def __init__(self, engine: Engine, start: ir.Value, shape: tuple[int, ...]) -> None:
        self._engine, self._start = engine, start
        self.shape = shape

    def __call__(self, values: np.ndarray) -> np.ndarray | None:
        """Return what becomes of `values`, as float64; None where that is not finite."""
        assert self._start.dtype is not None
        try:
            [found] = self._engine.run({str(self._start.name): values.astype(self._start.dtype.numpy())}).values()
        except CamgraphError:
            return None
        result = np.asarray(found, np.float64)
        return result if np.isfinite(result).all() else None


def stretch(
    prepared: PreparedModel, start: ir.Value, end: ir.Value, *, without: Collection[ir.Value] = ()
) -> Stretch | None:
    """Return the function from `start` to `end`; None where it depends on the image in another way as well.

    Values in `without` count as zeros.
    """
    shape = example_shape(prepared, start)
    if shape is None or start.dtype is None or start is end:
        return None
    nodes: list[ir.Node] = []
    outside: dict[str, onnx.TensorProto] = {}
    wanted, seen = [end], {start}
    while wanted:
        value = wanted.pop()
        if value in seen:
            continue
        seen.add(value)
        fixed = _zeros(prepared, value) if value in without else _fixed(prepared, value)
        if fixed is not None:
            outside[str(value.name)] = fixed
        elif (node := value.producer()) is not None and len(nodes) < _MOST_STEPS:
            if node not in nodes:
                nodes.append(node)
            wanted += reads(node)
        else:
            return None
    return _loaded(prepared, start, end, nodes, outside, shape)


def cuts_before(prepared: PreparedModel, end: ir.Value) -> Iterator[ir.Value]:
    """Yield the values that all that `end` knows of the image passes through, the nearest first.

    It ends before the first layer with weights, and where values become much larger than `end` is.
    """
    place = {node: i for i, node in enumerate(prepared.graph)}
    size = element_count(prepared, end)
    front = {end}
    for _ in range(_MOST_STEPS):
        if not front:  # nothing of the image comes here
            return
        value = max(front, key=lambda x: place.get(x.producer(), -1))  # type: ignore[arg-type]  # None is not a key
        node = value.producer()
        if node is None or _has_weights(prepared, node):
            return
        front -= set(node.outputs)
        front |= {x for x in reads(node) if _moves(prepared, x)}
        if not front:
            return
        if len(front) == 1:
            [cut] = front
            count = element_count(prepared, cut)
            if not size or not count or count > 2 * size or size > 2 * count:
                return
            yield cut


def element_count(prepared: PreparedModel, value: ir.Value) -> int:
    """Return how many elements a value had in the probe's first run; zero where that is not known."""
    shape = example_shape(prepared, value)
    return 0 if shape is None else math.prod(shape)


def example_shape(prepared: PreparedModel, value: ir.Value) -> tuple[int, ...] | None:
    """Return the shape that a value had in the probe's first run; None where it is not known, or too large to try."""
    if value.shape is None:
        return None
    sizes = [prepared.probe.example(dim) for dim in dims_of(value)]
    known = tuple(size for size in sizes if size is not None)
    return known if len(known) == len(sizes) and math.prod(known) <= _LARGEST else None


def is_fixed(prepared: PreparedModel, value: ir.Value) -> bool:
    """Tell whether a value does not depend on the image's pixels."""
    return not _moves(prepared, value)


def fixed_array(prepared: PreparedModel, value: ir.Value) -> np.ndarray | None:
    """Return the numbers of a value that does not depend on the image's pixels; None for any other."""
    tensor = _fixed(prepared, value)
    return None if tensor is None else numpy_helper.to_array(tensor)


def _moves(prepared: PreparedModel, value: ir.Value) -> bool:
    return not value.is_initializer() and str(value.name) not in prepared.probe.sightings[0].constants


def _fixed(prepared: PreparedModel, value: ir.Value) -> onnx.TensorProto | None:
    if _moves(prepared, value):
        return None
    name = str(value.name)
    known = prepared.probe.sightings[0].constants.get(name)
    if known is not None:
        return numpy_helper.from_array(known, name)
    if value.const_value is None or value.const_value.size > _LARGEST:
        return None
    return numpy_helper.from_array(value.const_value.numpy(), name)


def _zeros(prepared: PreparedModel, value: ir.Value) -> onnx.TensorProto | None:
    shape = example_shape(prepared, value)
    if shape is None or value.dtype is None:
        return None
    return numpy_helper.from_array(np.zeros(shape, value.dtype.numpy()), str(value.name))


def _has_weights(prepared: PreparedModel, node: ir.Node) -> bool:
    """Tell whether a node mixes what it reads by a matrix of numbers, or holds a graph of its own."""
    if any(attr.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for attr in node.attributes.values()):
        return True
    matrices = (x for x in node.inputs if x is not None and x.shape is not None and is_fixed(prepared, x))
    return any(sum(dim != 1 for dim in dims_of(x)) > 1 for x in matrices)


def _loaded(
    prepared: PreparedModel,
    start: ir.Value,
    end: ir.Value,
    nodes: list[ir.Node],
    outside: dict[str, onnx.TensorProto],
    shape: tuple[int, ...],
) -> Stretch | None:
    place = {node: i for i, node in enumerate(prepared.graph)}
    assert start.dtype is not None
    made = onnx.helper.make_graph(
        [ir.to_proto(node) for node in sorted(nodes, key=place.__getitem__)],
        "stretch",
        [onnx.helper.make_tensor_value_info(str(start.name), int(start.dtype), shape)],
        [onnx.helper.make_empty_tensor_value_info(str(end.name))],
        list(outside.values()),
    )
    opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in prepared.model.opset_imports.items()]
    model = onnx.helper.make_model(made, opset_imports=opsets, ir_version=max(prepared.model.ir_version, 8))
    try:
        return Stretch(load_engine(model, weights_folder(prepared.model), optimize=False), start, shape)
    except CamgraphError:
        return None
