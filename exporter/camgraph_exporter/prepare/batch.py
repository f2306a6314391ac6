"""Frees a batch that is fixed at one: toolkits write it into the input and into the targets of Reshape nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from camgraph_exporter.errors import ModelFileError
from camgraph_exporter.graph.constants import add_constant
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.prepare.probe import BATCH, Probe, probe, random_input
from camgraph_exporter.storage import load_engine, weights_folder
from camgraph_runtime.engine import Engine

# The same arithmetic in other loops: rounding may differ, the result may not.
_TOLERANCE = 1e-4


def free_batch(model: ir.Model, *, sizes: Sequence[int] | None = None) -> ir.Model | None:
    """Return a copy that takes any batch, or None where a batch gives other results than its single images.

    Args:
        model: normalised model with one image input, whose batch is one.
        sizes: height and width to use where the input leaves them open.

    """
    known = probe(model, image=model.graph.inputs[0], sizes=sizes)
    freed = model.clone()
    image = freed.graph.inputs[0]
    image.shape = ir.Shape([BATCH, *dims_of(image)[1:]])
    for node in freed.graph:
        if node.op_type == "Reshape" and node.domain == "":
            _keep_batch(freed.graph, node, known)
        for value in node.outputs:
            value.shape = None  # it may state the fixed batch
    try:
        found = probe(freed, image=image, sizes=sizes)
    except ModelFileError:
        return None
    if any(found.shapes.get(str(output.name), ())[:1] != (BATCH,) for output in freed.graph.outputs):
        return None
    return freed if _same_results(model, freed, sizes) else None


def _keep_batch(graph: ir.Graph, node: ir.Node, known: Probe) -> None:
    """Turn the leading one of a constant Reshape target into a copy of the batch, or into what is left over."""
    target = node.inputs[1]
    shape = known.constants.get(str(target.name)) if target is not None else None
    if shape is None and target is not None and target.const_value is not None:
        shape = target.const_value.numpy()
    if shape is None or shape.size == 0 or shape[0] != 1:
        return
    source = known.shapes.get(str(node.inputs[0].name), ()) if node.inputs[0] is not None else ()
    copies = source[:1] == (1,) and not node.attributes.get_int("allowzero", 0)
    if not copies and -1 in shape:
        return
    array = np.array([0 if copies else -1, *shape[1:]], dtype=np.int64)
    node.replace_input_with(1, add_constant(graph, f"{node.outputs[0].name}_shape", array))


def _same_results(model: ir.Model, freed: ir.Model, sizes: Sequence[int] | None) -> bool:
    image = model.graph.inputs[0]
    assert image.dtype is not None
    open_sizes = iter(sizes or ())
    shape = [dim if isinstance(dim, int) else next(open_sizes, 224) for dim in dims_of(image)[1:]]
    images = random_input(np.random.default_rng(0), [2, *shape], image.dtype)
    name = str(image.name)
    single, whole = _engine(model), _engine(freed)
    ones = [single.run({name: images[i : i + 1]}) for i in range(2)]
    both = whole.run({name: images})
    return all(_close(array, np.concatenate([one[key] for one in ones])) for key, array in both.items())


def _engine(model: ir.Model) -> Engine:
    return load_engine(ir.to_proto(model), weights_folder(model), optimize=False)


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    if a.shape != b.shape or not np.issubdtype(a.dtype, np.floating):
        return bool(np.array_equal(a, b))
    return bool(np.abs(a - b).max(initial=0) <= _TOLERANCE * np.abs(b).max(initial=0))
