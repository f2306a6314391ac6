"""Takes lists of tensors apart: a list that is split off one tensor and read at fixed places is a Split.

PyTorch writes `chunk`, `split` and `unbind` that way where nothing optimises the file. Lists have no derivative rules;
tensors do.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from camgraph_exporter.graph.constants import add_constant, elements_of
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.walk import required


class UnpackSequencesPass(InPlacePass):
    """Turns each SplitToSequence that is only read at constant places into a Split."""

    def call(self, model: ir.Model) -> PassResult:
        """Replace such nodes and their readers."""
        changed = False
        for node in list(model.graph):
            if node.op_type == "SplitToSequence" and not node.domain:
                changed |= _unpack(model, node)
        return PassResult(model, changed)


def _unpack(model: ir.Model, node: ir.Node) -> bool:
    """Replace a node and its readers; tell whether that was possible."""
    readers = [use.node for use in node.outputs[0].uses()]
    places = [_scalar(reader.inputs[1]) if reader.op_type == "SequenceAt" else None for reader in readers]
    sizes = _sizes(node)
    if sizes is None or any(place is None or not -len(sizes) <= place < len(sizes) for place in places):
        return False
    axis, x = _axis(node), required(node, 0)
    split = ir.node(
        "Split",
        [x, add_constant(model.graph, f"{node.outputs[0].name}_sizes", np.asarray(sizes, dtype=np.int64))],
        {"axis": axis},
        num_outputs=len(sizes),
        name=node.name,
    )
    model.graph.insert_before(node, split)
    for i, piece in enumerate(split.outputs):
        dims = list(dims_of(x))
        dims[axis] = sizes[i]
        piece.name, piece.type, piece.shape = f"{node.outputs[0].name}_{i}", x.type, ir.Shape(dims)
    keeps = _given_split(node) is not None or node.attributes.get_int("keepdims", 1) != 0
    for reader, place in zip(readers, places, strict=True):
        assert place is not None
        _replace_reader(model, reader, split.outputs[place], None if keeps else axis)
    model.graph.remove(node, safe=True)
    return True


def _replace_reader(model: ir.Model, reader: ir.Node, piece: ir.Value, squeezed: int | None) -> None:
    """Put a node in the reader's place that passes the piece on under the reader's name."""
    if squeezed is None:
        new = ir.node("Identity", [piece], name=reader.name)
    else:
        axes = add_constant(model.graph, f"{reader.outputs[0].name}_axes", np.asarray([squeezed], dtype=np.int64))
        new = ir.node("Squeeze", [piece, axes], name=reader.name)
    old, output = reader.outputs[0], new.outputs[0]
    output.name, output.type, output.shape = old.name, old.type, old.shape
    model.graph.insert_before(reader, new)
    old.replace_all_uses_with(output, replace_graph_outputs=True)
    model.graph.remove(reader, safe=True)


def _sizes(node: ir.Node) -> list[int] | None:
    """Return the sizes of the pieces, or None where they are known at run time only."""
    x = node.inputs[0]
    size = dims_of(x)[_axis(node)] if x is not None and x.shape is not None else None
    if not isinstance(size, int):
        return None
    split = _given_split(node)
    if split is None:
        return [1] * size
    given = elements_of(split)
    if given is None:
        return None
    if given.ndim:
        return [int(i) for i in given]
    whole, rest = divmod(size, int(given))
    return [int(given)] * whole + [rest] * (rest > 0)


def _given_split(node: ir.Node) -> ir.Value | None:
    return node.inputs[1] if len(node.inputs) > 1 else None


def _axis(node: ir.Node) -> int:
    x = node.inputs[0]
    axis = node.attributes.get_int("axis", 0)
    return axis % len(x.shape) if x is not None and x.shape is not None else axis


def _scalar(value: ir.Value | None) -> int | None:
    array = elements_of(value)
    return None if array is None else int(array)
