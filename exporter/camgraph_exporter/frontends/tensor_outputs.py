"""Leaves out outputs that are not arrays of numbers: lists, maps and texts, as classical machine learning returns them.

An explainable graph answers in tensors. The tensors that a list or a map is made of become outputs in its place.
"""

from __future__ import annotations

import onnx

from camgraph_exporter.errors import ModelFileError
from camgraph_exporter.graph.protos import names_read_by

# Operators whose list or map holds their inputs as they are.
_MAP = ("ai.onnx.ml", "ZipMap")
_WRAPPERS = {_MAP, ("", "SequenceConstruct"), ("", "Optional")}
_KINDS = {
    "sequence_type": "a list",
    "map_type": "a map",
    "optional_type": "an optional value",
    "sparse_tensor_type": "a sparse tensor",
    "opaque_type": "of a type of its own",
}


def keep_tensor_outputs(model: onnx.ModelProto) -> tuple[str, ...]:
    """Drop the outputs that are not numeric tensors, in place, and the nodes that only they need.

    Returns:
        What the user should know, one sentence per output that is left out.

    Raises:
        ModelFileError: no output is left.

    """
    graph = model.graph
    _forget_other_types(graph)
    others = [(output, kind) for output in graph.output if (kind := _other_kind(output))]
    if not others:
        return ()
    notes = []
    for output, kind in others:
        graph.output.remove(output)
        inner = _parts(graph, output.name)
        taken = {kept.name for kept in graph.output}
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner if name not in taken)
        instead = f" What it holds is an output in its place: {', '.join(map(repr, inner))}." if inner else ""
        notes.append(f"The model's output {output.name!r} is {kind}, and is left out.{instead}")
    if not graph.output:
        raise ModelFileError(
            f"No output of the model is a numeric tensor: {'; '.join(f'{o.name!r} is {kind}' for o, kind in others)}. "
            "Export the model with its scores as a tensor."
        )
    _drop_unused_nodes(graph, {output.name for output, _ in others})
    return tuple(notes)


def labels_of_maps(model: onnx.ModelProto) -> dict[str, tuple[str, ...]]:
    """Return the class labels of the maps from label to score that a model makes, in the order of the scores.

    By the name of the map. They are numbers or texts in the file, and texts here.
    """
    found = {}
    for node in model.graph.node:
        if (node.domain, node.op_type) == _MAP:
            given = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
            texts = [text.decode(errors="replace").strip() for text in given.get("classlabels_strings", [])]
            found[node.output[0]] = tuple(texts or map(str, given.get("classlabels_int64s", [])))
    return found


def _other_kind(value: onnx.ValueInfoProto) -> str:
    """Say what an output is that is not a numeric tensor; an empty text for one that is."""
    kind = value.type.WhichOneof("value")
    if kind == "sequence_type" and value.type.sequence_type.elem_type.WhichOneof("value") == "map_type":
        return "a list of maps"
    if kind == "tensor_type" and value.type.tensor_type.elem_type == onnx.TensorProto.STRING:
        return "text"
    return _KINDS.get(kind or "", "")


def _forget_other_types(graph: onnx.GraphProto) -> None:
    """Forget the stated types of inner values that are maps and the like; a run tells them."""
    kept = [value for value in graph.value_info if value.type.WhichOneof("value") in (None, "tensor_type")]
    del graph.value_info[:]
    graph.value_info.extend(kept)


def _parts(graph: onnx.GraphProto, name: str) -> list[str]:
    """Return the tensors that a list or map is made of; none where that is not to be seen."""
    made_by = {output: node for node in graph.node for output in node.output}
    node = made_by.get(name)
    if node is None or ("" if node.domain == "ai.onnx" else node.domain, node.op_type) not in _WRAPPERS:
        return []
    inner = [part for source in node.input for part in _parts(graph, source) or [source]]
    return [part for part in dict.fromkeys(inner) if part in made_by]


def _drop_unused_nodes(graph: onnx.GraphProto, dropped: set[str]) -> None:
    """Remove the nodes that made the dropped outputs, as far as nothing else reads what they make."""
    kept = {output.name for output in graph.output}
    for node in reversed(list(graph.node)):
        if dropped.intersection(node.output):
            readers = {name for other in graph.node if other is not node for name in names_read_by(other)}
            if not (kept | readers).intersection(node.output):
                dropped.update(names_read_by(node))
                graph.node.remove(node)
