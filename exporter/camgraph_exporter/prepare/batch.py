"""Frees a fixed batch: toolkits write its size into the input, and exporters into shapes and constants that follow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from camgraph_exporter.errors import ModelFileError
from camgraph_exporter.graph.constants import add_constant, elements_of
from camgraph_exporter.graph.dims import BATCH, Dims, dims_of
from camgraph_exporter.graph.measures import relative_to_largest
from camgraph_exporter.graph.passes import become, notes_of
from camgraph_exporter.graph.traits import Trait, has
from camgraph_exporter.prepare.image_input import image_input
from camgraph_exporter.prepare.probing import remember
from camgraph_exporter.running.engine import DEFAULT_SIZE, load_engine, random_input
from camgraph_exporter.running.probe import Probe, probe
from camgraph_exporter.storage import weights_folder
from camgraph_runtime.run.engine import Engine

# The same arithmetic in other loops: rounding may differ, the result may not.
_TOLERANCE = 1e-4
_NOTE = "The model takes batches of exactly {}, and so does the explainable graph."
_FILLED = " A smaller batch is filled up with copies of its last image, which takes the time of a whole one."


class FreeBatchPass(InPlacePass):
    """Lets a model of a fixed batch take any, or notes that a batch gives other results than its single images.

    `sizes`: height and width to use where the image leaves them open.
    """

    def __init__(self, sizes: Sequence[int] | None = None) -> None:
        self._sizes = sizes

    def call(self, model: ir.Model) -> PassResult:
        """Try to free the batch, and remember what the runs showed."""
        image = image_input(model)
        batch = dims_of(image)[0]
        if not isinstance(batch, int):
            return PassResult(model, modified=False)
        known = probe(model, image=image, sizes=self._sizes)
        # Constants of the batch's size are mostly weights, so that shapes alone are tried first.
        trials = (_freed(model, known, self._sizes, in_constants=in_constants) for in_constants in (False, True))
        freed, found = next((trial for trial in trials if trial is not None), (None, known))
        remember(model, found)
        if freed is not None:
            become(model, freed)
        else:
            notes_of(model).append(_NOTE.format(batch) + _FILLED * (batch > 1))
        return PassResult(model, freed is not None)


def _freed(
    model: ir.Model, known: Probe, sizes: Sequence[int] | None, *, in_constants: bool
) -> tuple[ir.Model, Probe] | None:
    """Return a copy that takes any batch and gives the same results, with what runs of it showed."""
    freed = model.clone()
    image = freed.graph.inputs[0]
    rewriter = _Rewriter(freed.graph, image, known)
    rewriter.rewrite_shapes()
    if in_constants and not rewriter.rewrite_constants():
        return None
    image.shape = ir.Shape([BATCH, *dims_of(image)[1:]])
    for node in freed.graph:
        for value in node.outputs:
            value.shape = None  # it may state the fixed batch
    try:
        found = probe(freed, image=image, sizes=sizes)
    except ModelFileError:
        return None
    if any(found.shapes.get(str(output.name), ())[:1] != (BATCH,) for output in freed.graph.outputs):
        return None
    return (freed, found) if _same_results(model, freed, sizes) else None


class _Rewriter:
    """Takes the fixed batch out of a graph wherever it is written. Whether it was the batch, a run tells afterwards."""

    def __init__(self, graph: ir.Graph, image: ir.Value, known: Probe) -> None:
        self._graph, self._image, self._known = graph, image, known
        self._batch = int(dims_of(image)[0])
        self._size: ir.Value | None = None

    def rewrite_shapes(self) -> None:
        """Let the shapes that Reshape nodes are given follow the batch."""
        for node in list(self._graph):
            if node.op_type == "Reshape" and node.domain == "":
                self._reshape(node)

    def rewrite_constants(self) -> bool:
        """Let tensors that are made up, repeated or written once per image follow the batch; tell whether any do."""
        before = [tuple(node.inputs) for node in self._graph]
        for node in list(self._graph):
            if node.domain != "":
                continue
            if node.op_type in {"Expand", "ConstantOfShape"}:
                self._filled(node, node.op_type == "Expand")
            elif node.op_type == "Concat":
                self._joined(node)
            elif has(node, Trait.ARITHMETIC) and self._batch > 1:
                self._broadcast(node)
        return [tuple(node.inputs) for node in self._graph] != before

    def _reshape(self, node: ir.Node) -> None:
        """Turn the batch that begins a constant shape into a copy, into what is left over, or into a computed size."""
        shape = self._constant(node.inputs[1])
        if shape is None or shape.size == 0 or not self._counts(int(shape[0])):
            return
        if self._constant(node.inputs[0]) is not None:
            return  # weights in another shape
        source = self._dims(node.inputs[0])
        copies = source[:1] == (shape[0],) and not node.attributes.get_int("allowzero", 0)
        if copies or -1 not in shape:
            array = np.array([0 if copies else -1, *shape[1:]], dtype=np.int64)
            node.replace_input_with(1, add_constant(self._graph, f"{node.outputs[0].name}_shape", array))
        elif self._batch > 1:
            node.replace_input_with(1, self._sized(node, shape))

    def _filled(self, node: ir.Node, is_expand: bool) -> None:
        """Let tensors that are repeated or made up have the batch of the image."""
        shape = self._constant(node.inputs[1 if is_expand else 0])
        source = self._dims(node.inputs[0])
        wide = not is_expand or (shape is not None and source[:1] == (1,) and len(source) == len(shape))
        if wide and shape is not None and shape.size > 1 and shape[0] == self._batch:
            node.replace_input_with(1 if is_expand else 0, self._sized(node, shape))

    def _joined(self, node: ir.Node) -> None:
        """Repeat a constant, such as a class token, for each image that it is joined to."""
        if node.attributes.get_int("axis", 0) == 0:
            return
        for index, value in enumerate(node.inputs):
            row = self._row(value)
            if row is not None:
                shape = self._sized(node, np.array([self._batch, *row.shape[1:]]))
                token = add_constant(self._graph, f"{node.outputs[0].name}_row", row)
                node.replace_input_with(index, self._emit(node, "Expand", [token, shape]))

    def _broadcast(self, node: ir.Node) -> None:
        """Keep one row of a constant that is the same for each image, such as the embedding of places."""
        for index, value in enumerate(node.inputs):
            row = self._row(value)
            if row is not None and row.ndim == len(self._dims(node.outputs[0])):
                node.replace_input_with(index, add_constant(self._graph, f"{node.outputs[0].name}_row", row))

    def _row(self, value: ir.Value | None) -> np.ndarray | None:
        """Return the one row [1, ...] of a constant with a row per image, all of them equal."""
        array = elements_of(value)
        if array is None or array.ndim < 2 or array.shape[0] != self._batch or (array != array[:1]).any():
            return None
        return array[:1]

    def _counts(self, size: int) -> bool:
        """Tell whether a size may be the batch, or windows and heads counted in with a batch of several."""
        return size == self._batch or (self._batch > 1 and size > 0 and size % self._batch == 0)

    def _constant(self, value: ir.Value | None) -> np.ndarray | None:
        return elements_of(value, self._known.constants)

    def _dims(self, value: ir.Value | None) -> Dims:
        if value is None:
            return ()
        constant = self._constant(value)
        return self._known.shapes.get(str(value.name), ()) if constant is None else constant.shape

    def _sized(self, node: ir.Node, shape: np.ndarray) -> ir.Value:
        """Return a shape whose first size follows the image's batch, int64 [rank]."""
        name, size = str(node.outputs[0].name), self._batch_size()
        factor = int(shape[0]) // self._batch
        if factor > 1:
            size = self._emit(node, "Mul", [size, add_constant(self._graph, f"{name}_each", np.array([factor]))])
        rest = add_constant(self._graph, f"{name}_rest", np.asarray(shape[1:], dtype=np.int64))
        return self._emit(node, "Concat", [size, rest], {"axis": 0})

    def _batch_size(self) -> ir.Value:
        """Return the number of images, int64 [1]."""
        if self._size is None:
            first = self._graph[0]
            shape = self._emit(first, "Shape", [self._image])
            zero = add_constant(self._graph, "first_axis", np.zeros(1, np.int64))
            self._size = self._emit(first, "Gather", [shape, zero], {"axis": 0})
        return self._size

    def _emit(
        self, before: ir.Node, op_type: str, inputs: Sequence[ir.Value], attributes: dict[str, int] | None = None
    ) -> ir.Value:
        name = f"camgraph/prepared/{before.outputs[0].name}/{op_type}"
        node = ir.node(op_type, inputs, attributes or {}, name=name)
        node.outputs[0].name = name
        self._graph.insert_before(before, node)
        return node.outputs[0]


def _same_results(model: ir.Model, freed: ir.Model, sizes: Sequence[int] | None) -> bool:
    """Compare images in batches of the fixed size with the same images in batches of others."""
    image = model.graph.inputs[0]
    assert image.dtype is not None
    batch, open_sizes = int(dims_of(image)[0]), iter(sizes or ())
    shape = [dim if isinstance(dim, int) else next(open_sizes, DEFAULT_SIZE) for dim in dims_of(image)[1:]]
    images = random_input(np.random.default_rng(0), [max(batch, 2), *shape], image.dtype)
    expected = _rows(_engine(model), str(image.name), np.split(images, len(images) // batch))
    parts = [images] if batch == 1 else [images[:1], images[1:]]
    found = _rows(_engine(freed), str(image.name), parts)
    return all(_close(array, expected[key]) for key, array in found.items())


def _rows(engine: Engine, name: str, parts: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    runs = [engine.run({name: part}) for part in parts]
    return {key: np.concatenate([run[key] for run in runs]) for key in runs[0]}


def _engine(model: ir.Model) -> Engine:
    return load_engine(ir.to_proto(model), weights_folder(model), optimize=False)


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    if not np.issubdtype(a.dtype, np.floating):
        return bool(np.array_equal(a, b))
    return relative_to_largest(a, b) <= _TOLERANCE
