"""The many ways to write the same network into a file: the export must not depend on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from camgraph_exporter import export, inspect
from camgraph_exporter.errors import ModelFileError
from camgraph_runtime.run.engine import Engine
from support.exporting import exported, images, run_graph
from support.nets import CLASSES, IMAGE, Net, classifier, trunk

TARGETS = [-1, 0, 4]


def check_same_explanation(model: onnx.ModelProto, folder: Path, *, tolerance: float = 1e-5) -> None:
    """Export a spelling and the plain `classifier()`: equal outputs, activations and weights."""
    (folder / "plain").mkdir()
    exported(classifier(), folder / "plain")
    exported(model, folder)
    image = images((2, *IMAGE[1:]))
    found, expected = (run_graph(path / "cam.onnx", image, TARGETS) for path in (folder, folder / "plain"))
    for name in ("logits", "activations", "weights", "target_score"):
        np.testing.assert_allclose(
            found[name], expected[name], rtol=tolerance, atol=tolerance * np.abs(expected[name]).max()
        )
    np.testing.assert_array_equal(found["target_index"], expected["target_index"])


@pytest.mark.parametrize("opset", [7, 8, 9, 10, 11, 12])
def test_old_opsets_are_lifted(opset: int, tmp_path: Path) -> None:
    check_same_explanation(classifier(opset=opset, ir_version=4), tmp_path)
    assert _opset(tmp_path / "cam.onnx") >= 13


@pytest.mark.parametrize("opset", [13, 15, 17, 18, 20, 21, 22, 23, 24])
def test_newer_opsets_are_kept(opset: int, tmp_path: Path) -> None:
    check_same_explanation(classifier(opset=opset, ir_version=10), tmp_path)
    assert _opset(tmp_path / "cam.onnx") == opset


def _opset(path: Path) -> int:
    return next(opset.version for opset in onnx.load(path).opset_import if opset.domain == "")


@pytest.mark.parametrize("ir_version", [3, 4, 6, 8, 10])
def test_ir_versions(ir_version: int, tmp_path: Path) -> None:
    check_same_explanation(classifier(ir_version=ir_version, opset=13), tmp_path)


def test_initializers_that_are_listed_as_inputs(tmp_path: Path) -> None:
    model = classifier(ir_version=3, opset=8)
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    model.graph.input.reverse()  # the image comes last
    check_same_explanation(model, tmp_path)
    assert list(Engine(tmp_path / "cam.onnx").inputs) == ["image", "target"]


def test_a_weight_that_nothing_reads(tmp_path: Path) -> None:
    """In files of IR version 3 it is an input as well, which is all that such a weight is known by."""
    model = classifier(ir_version=3, opset=8, shape=(1, *IMAGE[1:]))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((2, 3), np.float32), "queue"))
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    check_same_explanation(model, tmp_path)
    assert Engine(tmp_path / "cam.onnx").inputs["image"].shape[0] == "N", "its batch of one is freed"


def test_weights_as_constant_nodes(tmp_path: Path) -> None:
    model = classifier()
    for tensor in model.graph.initializer:
        model.graph.node.insert(0, helper.make_node("Constant", [], [tensor.name], value=tensor))
    del model.graph.initializer[:]
    check_same_explanation(model, tmp_path)


def test_nodes_without_names(tmp_path: Path) -> None:
    model = classifier()
    for node in model.graph.node:
        node.name = ""
    check_same_explanation(model, tmp_path)


def test_the_standard_domain_by_its_long_name(tmp_path: Path) -> None:
    model = classifier()
    model.opset_import[0].domain = "ai.onnx"
    for node in model.graph.node:
        node.domain = "ai.onnx"
    check_same_explanation(model, tmp_path)


def test_nodes_out_of_order(tmp_path: Path) -> None:
    """Not valid ONNX, but onnxruntime takes it, and so do we."""
    model = classifier()
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    check_same_explanation(model, tmp_path)


def _flatten_chain(net: Net, x: str) -> str:
    """What PyTorch writes for `x.view(x.size(0), -1)`: the shape is computed."""
    batch = net.node("Gather", net.node("Shape", x), net.weight(np.array(0)), axis=0)
    shape = net.node("Concat", net.node("Unsqueeze", batch, net.ints(0)), net.ints(-1), axis=0)
    return net.node("Reshape", x, shape)


def _pad_chain(net: Net, x: str) -> str:
    """What PyTorch writes for a constant padding: the pads are computed by eight nodes."""
    count = net.node("Sub", net.weight(np.array(8)), net.weight(np.array(4)))
    zeros = net.node("ConstantOfShape", net.node("Unsqueeze", count, net.ints(0)), value=_int_zero())
    pads = net.node("Reshape", net.node("Concat", net.ints(1, 0, 0, 1), zeros, axis=0), net.ints(-1, 2))
    turned = net.node("Slice", pads, net.ints(-1), net.ints(-(2**62)), net.ints(0), net.ints(-1))
    flat = net.node("Reshape", net.node("Transpose", turned, perm=[1, 0]), net.ints(-1))
    return net.node("Pad", x, net.node("Cast", flat, to=onnx.TensorProto.INT64))


def _int_zero() -> onnx.TensorProto:
    return numpy_helper.from_array(np.zeros(1, np.int64))


def _slice_chain(net: Net, x: str) -> str:
    """Half of the channels, by bounds that are computed from the shape."""
    channels = net.node("Gather", net.node("Shape", x), net.ints(1), axis=0)
    half = net.node("Div", channels, net.ints(2))
    left = net.node("Slice", x, net.ints(0), half, net.ints(1))
    right = net.node("Slice", x, half, channels, net.ints(1))
    return net.node("Concat", right, left, axis=1)


@pytest.mark.parametrize("chain", [_pad_chain, _slice_chain])
def test_constants_that_are_computed_by_chains_of_nodes(chain: Callable[[Net, str], str], tmp_path: Path) -> None:
    net = Net()
    last = net.node("Relu", net.conv(chain(net, trunk(net, net.image())), (16, 16)), name="after")
    result = exported(net.model(net.pooled_head(last, 16)), tmp_path, layers=("block",), gradients=True)
    assert result.manifest.certificate.passed
    constants = {tensor.name for tensor in result.model.graph.initializer}
    moves = [node for node in result.model.graph.node if node.name.startswith("camgraph/") and "block" not in node.name]
    moves = [node for node in moves if node.op_type in {"Pad", "Slice"}]
    assert moves
    assert all(set(node.input[1:]) <= constants for node in moves)


def test_a_shape_chain_in_front_of_the_classifier(tmp_path: Path) -> None:
    net = Net()
    rows = _flatten_chain(net, trunk(net, net.image()))
    result = exported(net.model(net.linear(rows, 1024, CLASSES, name="logits")), tmp_path, gradients=True)
    assert result.manifest.certificate.passed
    assert run_graph(tmp_path / "cam.onnx", images((3, *IMAGE[1:])), TARGETS)["gradients"].shape == (3, 3, 16, 8, 8)


def test_dynamic_height_and_width(tmp_path: Path) -> None:
    result = exported(classifier(shape=("N", 3, "H", "W")), tmp_path, layers=("block",), gradients=True)
    layer = result.manifest.layers[0]
    assert (layer.channels, layer.height, layer.width) == (8, 0, 0)
    assert list(result.manifest.input.tensor.shape)[:2] == ["N", "3"]
    (tmp_path / "still").mkdir()
    for height, width in [(16, 16), (20, 14), (33, 47)]:
        found = run_graph(tmp_path / "cam.onnx", images((2, 3, height, width)), TARGETS)
        assert found["activations"].shape == (2, 8, height, width)
        assert found["gradients"].shape == (2, 3, 8, height, width)
        exported(classifier(shape=("N", 3, height, width)), tmp_path / "still", layers=("block",), gradients=True)
        expected = run_graph(tmp_path / "still" / "cam.onnx", images((2, 3, height, width)), TARGETS)
        np.testing.assert_allclose(found["gradients"], expected["gradients"], rtol=1e-5, atol=1e-8)


def test_a_free_batch_written_as_minus_one(tmp_path: Path) -> None:
    model = classifier()
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = -1
    check_same_explanation(model, tmp_path)
    assert Engine(tmp_path / "cam.onnx").inputs["image"].shape[0] == "N"


def test_unnamed_dynamic_axes(tmp_path: Path) -> None:
    model = classifier()
    model.graph.input[0].type.tensor_type.shape.dim[0].Clear()
    check_same_explanation(model, tmp_path)
    assert Engine(tmp_path / "cam.onnx").inputs["image"].shape[0] == "N"


def test_weights_of_size_zero(tmp_path: Path) -> None:
    """Resize nodes carry an empty region of interest."""
    net = Net()
    x = trunk(net, net.image())
    empty = net.weight(np.zeros(0, np.float32))
    x = net.node("Resize", x, empty, net.weight(np.array([1, 1, 2, 2], np.float32)), mode="nearest")
    result = exported(net.model(net.pooled_head(x, 16)), tmp_path, layers=("last",))
    assert result.manifest.certificate.passed


def test_functions_of_the_model_are_inlined(tmp_path: Path) -> None:
    model = classifier()
    relus = [node for node in model.graph.node if node.op_type == "Relu"]
    for node in relus:
        node.op_type, node.domain = "Rectify", "own"
    body = [helper.make_node("Constant", [], ["zero"], value_float=0.0), helper.make_node("Max", ["x", "zero"], ["y"])]
    model.functions.append(helper.make_function("own", "Rectify", ["x"], ["y"], body, [helper.make_opsetid("", 17)]))
    model.opset_import.append(helper.make_opsetid("own", 1))
    check_same_explanation(model, tmp_path)
    assert not onnx.load(tmp_path / "cam.onnx").functions


def test_foreign_nodes_beside_the_path_are_carried_over(tmp_path: Path) -> None:
    """A second output by an operator of onnxruntime's own, and one in front of the layer."""
    net = Net()
    image = net.node("QuickGelu", net.image(), domain="com.microsoft", name="first")
    last = trunk(net, image)
    logits = net.pooled_head(last, 16)
    side = net.node("FusedMatMul", logits, net.random(CLASSES, CLASSES), domain="com.microsoft", name="side")
    result = exported(net.model(logits, side), tmp_path)
    foreign = {node.name: node.op_type for node in result.model.graph.node if node.domain == "com.microsoft"}
    assert foreign == {"node/first": "QuickGelu", "node/side": "FusedMatMul"}
    assert [spec.name for spec in result.manifest.source_outputs] == ["logits", "side"]
    image = images((2, *IMAGE[1:]))
    source = Engine(tmp_path / "source.onnx").run({"image": image})
    found = run_graph(tmp_path / "cam.onnx", image, TARGETS)
    for name, array in source.items():
        np.testing.assert_array_equal(found[name], array)


def test_the_source_metadata_stay(tmp_path: Path) -> None:
    model = classifier()
    model.producer_version, model.doc_string = "2.0", "a small net"
    model.metadata_props.add(key="author", value="someone")
    result = exported(model, tmp_path)
    proto = onnx.load(tmp_path / "cam.onnx")
    assert {prop.key: prop.value for prop in proto.metadata_props}["author"] == "someone"
    assert result.manifest.source.producer == "nets 2.0"


def test_an_explainable_graph_is_told_from_a_trained_model(tmp_path: Path) -> None:
    exported(classifier(), tmp_path)
    with pytest.raises(ModelFileError, match=r"cam[.]onnx is an explainable graph already[.] `camgraph verify`"):
        inspect(tmp_path / "cam.onnx")
    with pytest.raises(ModelFileError, match="is an explainable graph already"):
        export(onnx.load(tmp_path / "cam.onnx"), tmp_path / "again.onnx")


def test_a_size_that_is_open_but_only_one_fits_becomes_fixed(tmp_path: Path) -> None:
    """The classifier after the flattened map has weights for one size."""
    net = Net()
    rows = net.node("Flatten", trunk(net, net.image(("N", 3, "H", "W"))), axis=1)
    model = net.model(net.linear(rows, 1024, CLASSES, name="logits"))
    result = exported(model, tmp_path, input_size=(16, 16), layers=("block",))
    assert list(result.manifest.input.tensor.shape) == ["N", "3", "16", "16"]
    with pytest.raises(ModelFileError, match="--input-size"):
        exported(model, tmp_path)


def test_a_stated_size_leaves_other_sizes_possible(tmp_path: Path) -> None:
    model = classifier(shape=("N", 3, "H", "W"))
    exported(model, tmp_path, input_size=(16, 16), layers=("block",))
    other = images((2, 3, 24, 20))
    found = run_graph(tmp_path / "cam.onnx", other, TARGETS)
    exported(classifier(shape=("N", 3, 24, 20)), tmp_path, layers=("block",))
    expected = run_graph(tmp_path / "cam.onnx", other, TARGETS)
    np.testing.assert_allclose(found["weights"], expected["weights"], rtol=1e-5, atol=1e-8)


def test_weights_may_be_standardised_by_a_normalisation_in_training_mode(tmp_path: Path) -> None:
    """It is of the weights alone, the same for every image; networks without norms have it."""
    net = Net(seed=8)
    x = net.node("Relu", net.conv(net.image(), (3, 8)), name="layer")
    rows = net.node("Reshape", net.random(8, 8, 3, 3), net.ints(1, 8, -1))
    ones, zeros = net.weight(np.ones(8, np.float32)), net.weight(np.zeros(8, np.float32))
    standard = net.node("BatchNormalization", rows, ones, zeros, zeros, ones, training_mode=1, outputs=3)
    kernel = net.node("Reshape", standard, net.ints(8, 8, 3, 3))
    y = net.node("Relu", net.node("Conv", x, kernel, pads=[1, 1, 1, 1], kernel_shape=[3, 3]))
    made = exported(net.model(net.pooled_head(y, 8)), tmp_path, layers=["layer"], gradients=True)
    assert made.manifest.certificate.passed
