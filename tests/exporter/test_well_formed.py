"""Files whose graph is none: refused before anything reads them, with every tensor that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from camgraph_exporter.errors import ModelFileError
from camgraph_exporter.frontends.onnx_file import load_onnx
from support.exporting import exported
from support.nets import Net, classifier, trunk

Break = Callable[[onnx.ModelProto], None]


def _twice(model: onnx.ModelProto) -> None:
    model.graph.node.append(model.graph.node[2])


def _weight_twice(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(model.graph.initializer[0])


def _weight_and_node(model: onnx.ModelProto) -> None:
    model.graph.initializer[1].name = model.graph.node[0].output[0]


def _lost(model: onnx.ModelProto) -> None:
    del model.graph.node[1]


def _short(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-4]


def _other_shape(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[0] += 1


def _negative(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[0] = -8


def _strange_type(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_type = 77


def _few_floats(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.float_data.extend([1.0, 2.0])


def _no_kernel(model: onnx.ModelProto) -> None:
    pooling = next(node for node in model.graph.node if node.op_type == "MaxPool")
    pooling.attribute.remove(next(a for a in pooling.attribute if a.name == "kernel_shape"))


def _untyped(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute[0].type = onnx.AttributeProto.UNDEFINED


def _other_type(model: onnx.ModelProto) -> None:
    attribute = next(a for a in model.graph.node[0].attribute if a.name == "pads")
    attribute.type = onnx.AttributeProto.FLOATS


def _no_text(model: onnx.ModelProto) -> None:
    attribute = model.graph.node[0].attribute.add(name="auto_pad", type=onnx.AttributeProto.STRING)
    attribute.s = b"\xaa\xff"


def _nameless(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = ""


CASES: dict[str, tuple[Break, str]] = {
    "a node twice": (_twice, "the tensor 'Conv_2' is made more than once"),
    "weights twice": (_weight_twice, "the tensor 'weight_0' is made more than once"),
    "weights of a node's name": (_weight_and_node, "the tensor 'Conv_0' is made more than once"),
    "a node is gone": (_lost, "nothing makes the tensor 'stem', which is used"),
    "short weights": (_short, "the weights 'weight_0' of shape [8, 3, 3, 3] have 860 bytes, not 864"),
    "weights of another shape": (_other_shape, "the weights 'weight_0' of shape [9, 3, 3, 3] have 864 bytes, not 972"),
    "a negative size": (_negative, "the weights 'weight_0' have the shape [-8, 3, 3, 3]"),
    "no type": (_strange_type, "the weights 'weight_0' have the unknown element type 77"),
    "a lost attribute": (_no_kernel, "MaxPool node 'node/pooled' lacks its attribute 'kernel_shape'"),
    "an attribute of no type": (_untyped, "of Conv node 'node/Conv_0' has no type"),
    "an attribute of another type": (
        _other_type,
        "attribute 'pads' of Conv node 'node/Conv_0' is not of the type that the standard says",
    ),
    "an attribute of no letters": (_no_text, "attribute 'auto_pad' of Conv node 'node/Conv_0' is not text"),
    "an output without a name": (_nameless, "output 0 has no name"),
    "few elements": (_few_floats, "the weights 'weight_0' cannot be read"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_named(name: str, tmp_path: Path) -> None:
    spoil, said = CASES[name]
    model = classifier()
    spoil(model)
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ModelFileError, match="is damaged: ") as caught:
        load_onnx(tmp_path / "model.onnx")
    assert said in str(caught.value)


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    model = classifier()
    for spoil in (_short, _twice, _lost):
        spoil(model)
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ModelFileError) as caught:
        load_onnx(tmp_path / "model.onnx")
    for said in ("Conv_2", "'stem'", "860 bytes"):
        assert said in str(caught.value)


def _with_function(*, stated: int, opset: int) -> onnx.ModelProto:
    """A classifier that pools by a function of its own."""
    net = Net(seed=2, opset=opset)
    body = [helper.make_node("ReduceMean", ["a"], ["b"], axes=[2, 3], keepdims=1)]
    imports = [helper.make_opsetid("", stated)]
    net.functions.append(helper.make_function("local", "Mean", ["a"], ["b"], body, imports))
    net.domains["local"] = 1
    pooled = net.node("Mean", trunk(net, net.image()), domain="local")
    return net.model(net.linear(net.node("Flatten", pooled, axis=1), 16, 5, name="logits"))


@pytest.mark.parametrize("stated", [13, 16, 17])
def test_functions_of_another_opset(stated: int, tmp_path: Path) -> None:
    assert exported(_with_function(stated=stated, opset=17), tmp_path).manifest.certificate.passed


def test_functions_whose_operators_changed_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"The model uses opset 18, but .*: local.Mean \(ReduceMean\)"):
        exported(_with_function(stated=17, opset=18), tmp_path)


def test_an_image_without_elements(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"has the shape \[N, 3, 0, 16\], so an image has no elements"):
        exported(classifier(shape=("N", 3, 0, 16)), tmp_path)


def test_weights_are_read_whole(tmp_path: Path) -> None:
    """Bits of four each: half a byte, rounded up."""
    net = Net(seed=2, opset=21, ir_version=10)
    packed = helper.make_tensor("packed", onnx.TensorProto.INT4, [3], np.array([1, -2, 3]))
    net.weights.append(packed)
    model = net.model(net.pooled_head(trunk(net, net.image()), 16))
    onnx.save(model, tmp_path / "model.onnx")
    assert load_onnx(tmp_path / "model.onnx").source.opset_version == 21


@pytest.mark.parametrize("listed", [True, False])
def test_weights_as_an_output(listed: bool, tmp_path: Path) -> None:
    """What is declared of the output, which may be nothing, is not what the weights are."""
    net = Net(seed=2)
    logits = net.pooled_head(trunk(net, net.image()), 16)
    model = net.model(logits)
    name = model.graph.initializer[0].name
    model.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    if listed:
        model.graph.input.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (8, 3, 3, 3)))
    assert exported(model, tmp_path).manifest.certificate.passed


def test_an_image_beyond_all_memory(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="has more than 1073741824 numbers, too many to try the model with"):
        exported(classifier(shape=("N", 3, 2**22, 2**22)), tmp_path)


@pytest.mark.parametrize("axis", [1, 2])
def test_a_map_without_cells_or_channels_is_not_a_layer(axis: int, tmp_path: Path) -> None:
    net = Net(seed=2)
    last = trunk(net, net.image())
    nothing = net.node("Slice", last, net.ints(3), net.ints(3), net.ints(axis), name="nothing")
    joined = net.node("Concat", last, nothing, axis=axis, name="joined")
    made = exported(net.model(net.pooled_head(joined, 16)), tmp_path)
    assert made.manifest.layers[0].name in {"last", "joined"}


def _garbled_operator(model: onnx.ModelProto) -> bytes:
    return model.SerializeToString().replace(b"MaxPool", b"MaxP\xfcol")


def _garbled_output(model: onnx.ModelProto) -> bytes:
    return model.SerializeToString().replace(b"logits", b"logit\xff")


def _garbled_weights(model: onnx.ModelProto) -> bytes:
    return model.SerializeToString().replace(b"weight_0", b"we\xb0ght_0")


@pytest.mark.parametrize("garble", [_garbled_operator, _garbled_output, _garbled_weights])
def test_names_that_are_no_text(garble: Callable[[onnx.ModelProto], bytes], tmp_path: Path) -> None:
    """Protobuf lets them pass as bytes."""
    (tmp_path / "net.onnx").write_bytes(garble(classifier()))
    with pytest.raises(ModelFileError, match=r"is damaged: the \w+ b'.*' of a \w+ is not UTF-8 text"):
        load_onnx(tmp_path / "net.onnx")
