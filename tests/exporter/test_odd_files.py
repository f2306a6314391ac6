"""Files that are written in rare ways: each gives what onnxruntime gives for the file itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from support.exporting import camgraph, complaint, exported, images, run_graph
from support.nets import CLASSES, IMAGE, Net, classifier, trunk


def _bare(path: Path, image: np.ndarray) -> dict[str, Any]:
    """What onnxruntime by itself says of the file."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"image": image}), strict=True))


# --- IR version 3 -------------------------------------------------------------------------------------------------


def _unlisted(opset: int) -> onnx.ModelProto:
    return classifier(ir_version=3, opset=opset)


def _partly_listed() -> onnx.ModelProto:
    model = classifier(ir_version=3, opset=9)
    for tensor in model.graph.initializer[::2]:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return model


def _nameless() -> onnx.ModelProto:
    """The standard asks for a name of the graph, and onnxruntime does not."""
    model = classifier()
    model.graph.name = ""
    return model


def _cntk() -> onnx.ModelProto:
    """A batch of one, and weights whose names are those of the values that they shape, as CNTK wrote them."""
    net = Net(ir_version=3, opset=8)
    last = trunk(net, net.image((1, *IMAGE[1:])))
    rows = net.node("Reshape", last, net.ints(1, 1024, name="rows_shape"), name="rows")
    table = net.node(
        "Reshape", net.random(16, 8, 8, CLASSES), net.ints(1024, CLASSES, name="table_shape"), name="table"
    )
    product = net.node("MatMul", rows, table)
    model = net.model(net.node("Add", product, net.random(1, CLASSES), name="logits"), shapes={"logits": (1, CLASSES)})
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return model


# --- sparse weights -----------------------------------------------------------------------------------------------


def _thinned(model: onnx.ModelProto, shape: list[int]) -> tuple[onnx.TensorProto, np.ndarray]:
    """Take the weight of a shape out of a model; return it with three of four elements zero."""
    tensor = next(tensor for tensor in model.graph.initializer if list(tensor.dims) == shape)
    model.graph.initializer.remove(tensor)
    array = numpy_helper.to_array(tensor).copy()
    array.reshape(-1)[np.arange(array.size) % 4 != 0] = 0
    return tensor, array


def _sparse(name: str, array: np.ndarray, *, by_axis: bool) -> onnx.SparseTensorProto:
    places = np.argwhere(array) if by_axis else np.flatnonzero(array)
    values = numpy_helper.from_array(array[array != 0], name)
    return helper.make_sparse_tensor(values, numpy_helper.from_array(places.astype(np.int64), name + "/i"), array.shape)


def _sparse_weight(shape: list[int], *, by_axis: bool) -> onnx.ModelProto:
    model = classifier()
    tensor, array = _thinned(model, shape)
    model.graph.sparse_initializer.append(_sparse(tensor.name, array, by_axis=by_axis))
    return model


def _sparse_constant() -> onnx.ModelProto:
    model = classifier()
    tensor, array = _thinned(model, [CLASSES, 16])
    sparse = _sparse(tensor.name, array, by_axis=False)
    model.graph.node.insert(0, helper.make_node("Constant", [], [tensor.name], sparse_value=sparse))
    return model


# --- outputs that are no tensors ----------------------------------------------------------------------------------


def _value(name: str, kind: str, **options: Any) -> onnx.ValueInfoProto:
    """An output by the text that onnxruntime shows for its type."""
    numbers = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    types = {
        "maps": helper.make_sequence_type_proto(helper.make_map_type_proto(options.get("key", 0), numbers)),
        "list": helper.make_sequence_type_proto(numbers),
        "optional": helper.make_optional_type_proto(numbers),
        "text": helper.make_tensor_type_proto(TensorProto.STRING, ["N"]),
        "label": helper.make_tensor_type_proto(TensorProto.INT64, ["N"]),
    }
    return helper.make_value_info(name, types[kind])


def _with_outputs(outputs: list[onnx.ValueInfoProto], add: Callable[[Net, str], None]) -> onnx.ModelProto:
    net = Net()
    add(net, net.pooled_head(trunk(net, net.image()), 16, name="scores"))
    model = net.model("scores")
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    return model


def _label_and_zipmap(net: Net, scores: str) -> None:
    """As converters of scikit-learn write a classifier with numbered classes."""
    probabilities = net.node("Softmax", scores, axis=1, name="probabilities")
    best = net.node("ArgMax", probabilities, axis=1, keepdims=0)
    labels = net.weight(np.arange(10, 10 + CLASSES))
    picked = net.node("ArrayFeatureExtractor", labels, best, domain="ai.onnx.ml")
    net.node("Reshape", picked, net.ints(-1), name="label")
    options = {"classlabels_int64s": list(range(10, 10 + CLASSES))}
    net.node("ZipMap", probabilities, domain="ai.onnx.ml", name="output_probability", **options)


def _text_label(net: Net, scores: str) -> None:
    best = net.node("ArgMax", scores, axis=1, keepdims=0)
    net.node("LabelEncoder", best, domain="ai.onnx.ml", name="label", keys_int64s=[0, 1], values_strings=["a", "b"])
    net.domains["ai.onnx.ml"] = 2


def _list_of_two(net: Net, scores: str) -> None:
    net.node("SequenceConstruct", scores, net.node("Softmax", scores, name="probabilities"), name="both")


def _optional(net: Net, scores: str) -> None:
    net.node("Optional", net.node("Identity", scores, name="logits"), name="perhaps")


def _left_out(name: str, kind: str, instead: str = "") -> list[str]:
    more = f" What it holds is an output in its place: {instead}." if instead else ""
    return [f"The model's output {name!r} is {kind}, and is left out.{more}"]


_TENSORS = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ("N", CLASSES))]
_LABEL_AND_MAPS = [_value("label", "label"), _value("output_probability", "maps", key=TensorProto.INT64)]
# How to build each file, and what the export notes.
FILES: dict[str, tuple[Callable[[], onnx.ModelProto], list[str]]] = {
    **{f"IR 3, opset {opset}": (lambda opset=opset: _unlisted(opset), []) for opset in (7, 8, 10, 12)},
    "IR 3, some weights listed": (_partly_listed, []),
    "IR 3, names of CNTK": (_cntk, []),
    "a graph without a name": (_nameless, []),
    "sparse kernel by axis": (lambda: _sparse_weight([16, 8, 3, 3], by_axis=True), []),
    "sparse kernel": (lambda: _sparse_weight([8, 8, 3, 3], by_axis=False), []),
    "sparse table by axis": (lambda: _sparse_weight([CLASSES, 16], by_axis=True), []),
    "sparse constant": (_sparse_constant, []),
    "label and maps": (
        lambda: _with_outputs(_LABEL_AND_MAPS, _label_and_zipmap),
        [
            *_left_out("output_probability", "a list of maps", "'probabilities'"),
            "The labels are those of the file's own map 'output_probability'.",
        ],
    ),
    "text label": (
        lambda: _with_outputs([_value("label", "text"), *_TENSORS], _text_label),
        _left_out("label", "text"),
    ),
    "list": (
        lambda: _with_outputs([_value("both", "list")], _list_of_two),
        _left_out("both", "a list", "'scores', 'probabilities'"),
    ),
    "optional": (
        lambda: _with_outputs([_value("perhaps", "optional")], _optional),
        _left_out("perhaps", "an optional value", "'logits'"),
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_rare_file_is_explained(name: str, tmp_path: Path) -> None:
    build, notes = FILES[name]
    made = exported(build(), tmp_path)
    assert made.manifest.certificate.passed
    assert list(made.manifest.notes) == notes
    image = images((2, *IMAGE[1:]))
    found = run_graph(tmp_path / "cam.onnx", image, [-1, 0])
    source = onnx.load(tmp_path / "source.onnx")
    alone = source.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    runs = [_bare(tmp_path / "source.onnx", part) for part in (np.split(image, 2) if alone else [image])]
    kept = [output for output in runs[0] if output in found]
    assert kept == [output.name for output in made.manifest.source_outputs if output.name in runs[0]]
    for output in kept:
        np.testing.assert_allclose(found[output], np.concatenate([run[output] for run in runs]), rtol=1e-5, atol=1e-6)


def test_the_numbers_of_a_list_of_maps_stay(tmp_path: Path) -> None:
    made = exported(FILES["label and maps"][0](), tmp_path)
    image = images((2, *IMAGE[1:]))
    maps = _bare(tmp_path / "source.onnx", image)["output_probability"]
    found = run_graph(tmp_path / "cam.onnx", image, [-1])
    expected = [[one[label] for label in sorted(one)] for one in maps]
    np.testing.assert_allclose(found["probabilities"], expected, rtol=1e-5)
    assert not any(node.op_type == "ZipMap" for node in made.model.graph.node)
    assert made.manifest.head.score_tensor == "scores"


def test_inspect_says_what_is_left_out(tmp_path: Path) -> None:
    onnx.save(FILES["list"][0](), tmp_path / "source.onnx")
    assert "Note: The model's output 'both' is a list" in camgraph("inspect", tmp_path / "source.onnx").stderr


def _nothing_left() -> onnx.ModelProto:
    return _with_outputs([_value("halves", "list")], lambda net, x: str(net.node("SplitToSequence", x, name="halves")))


def _outside(by_axis: bool) -> onnx.ModelProto:
    model = _sparse_weight([CLASSES, 16], by_axis=by_axis)
    sparse = model.graph.sparse_initializer[0]
    places = numpy_helper.to_array(sparse.indices).copy()
    places[-1] = 999
    sparse.indices.CopyFrom(numpy_helper.from_array(places, sparse.indices.name))
    return model


def _huge() -> onnx.ModelProto:
    model = _sparse_weight([CLASSES, 16], by_axis=False)
    model.graph.sparse_initializer[0].dims[:] = [2**20, 2**20]
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (_nothing_left, "No output of the model is a numeric tensor: 'halves' is a list. Export the model"),
        (lambda: _outside(by_axis=False), r"has values at places that its shape \[5, 16\] does not have: the file is"),
        (lambda: _outside(by_axis=True), r"has values at places that its shape \[5, 16\] does not have: the file is"),
        (_huge, r"has the shape \[1048576, 1048576\], which is too large to be written out in full"),
    ],
)
def test_what_cannot_be_read_is_said(model: Callable[[], onnx.ModelProto], message: str, tmp_path: Path) -> None:
    (tmp_path / "source.onnx").write_bytes(model().SerializeToString())
    outcome = camgraph("export", tmp_path / "source.onnx", "-o", tmp_path / "cam.onnx")
    assert re.search(message, complaint(outcome, exit_code=1))
    assert not (tmp_path / "cam.onnx").exists()


@pytest.mark.parametrize(("axis", "index"), [(2, 0), (-1, 63)])
def test_one_cell_of_a_row_of_cells(axis: int, index: int, tmp_path: Path) -> None:
    """The last axis goes: the score reads one cell only, and the map before is explained."""
    net = Net()
    cells = net.node("Reshape", trunk(net, net.image()), net.ints(0, 0, -1))
    one = net.node("Gather", cells, net.weight(np.int64(index)), axis=axis)
    made = exported(net.model(net.linear(one, 16, CLASSES, name="logits")), tmp_path)
    assert made.manifest.certificate.passed
    assert made.manifest.layers[0].name == "last"
