"""Models that cannot be explained: each is refused in plain sentences that name the nodes, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph_exporter.vjp import registry
from support.exporting import exported, refused
from support.nets import CLASSES, Net, classifier, trunk


def test_no_feature_map(tmp_path: Path) -> None:
    """A perceptron on the flattened image."""
    net = Net()
    rows = net.node("Flatten", net.image(), axis=1)
    hidden = net.node("Relu", net.linear(rows, 768, 32))
    said = refused(net.model(net.linear(hidden, 32, CLASSES, name="logits")), tmp_path)
    assert "no spatial feature map" in said
    assert "--score" in said


@pytest.mark.parametrize(("asked", "offered"), [("blok", "block"), ("Last", "last"), ("stem_", "stem")])
def test_unknown_layer(asked: str, offered: str, tmp_path: Path) -> None:
    said = refused(classifier(), tmp_path, "--layer", asked, exit_code=2)
    assert f"There is no layer {asked!r}. Did you mean " in said
    assert offered in said
    assert "camgraph inspect" in said


def test_every_unknown_layer_is_named(tmp_path: Path) -> None:
    said = refused(classifier(), tmp_path, "--layer", "blok", "--layer", "stam", exit_code=2)
    assert "'blok'" in said
    assert "'stam'" in said


def _with_integer_map() -> onnx.ModelProto:
    net = Net()
    last = trunk(net, net.image())
    steps = net.node("Cast", last, to=onnx.TensorProto.INT32, name="steps")
    logits = net.pooled_head(net.node("Add", last, net.node("Cast", steps, to=onnx.TensorProto.FLOAT)), 16)
    return net.model(logits)


def test_layer_of_integers(tmp_path: Path) -> None:
    said = refused(_with_integer_map(), tmp_path, "--layer", "steps")
    assert "'steps'" in said
    assert "no gradient" in said


def test_layer_after_the_score(tmp_path: Path) -> None:
    """A segmenter's map that is drawn from the class scores."""
    net = Net()
    last = trunk(net, net.image())
    logits = net.pooled_head(last, 16)
    wide = net.node("Reshape", logits, net.ints(0, CLASSES, 1, 1))
    after = net.node("Expand", wide, net.ints(1, 1, 4, 4), name="after")
    model = net.model("logits", after, shapes={"after": ("N", CLASSES, 4, 4)})
    said = refused(model, tmp_path, "--layer", "after")
    assert "The score 'logits' does not depend on layer 'after'" in said


def test_layer_beside_the_path(tmp_path: Path) -> None:
    """A map that only a second output reads."""
    net = Net()
    last = trunk(net, net.image())
    logits = net.pooled_head(last, 16)
    side = net.node("Sigmoid", net.conv(last, (16, 4)), name="side")
    model = net.model(logits, side, shapes={"side": ("N", 4, 8, 8)})
    said = refused(model, tmp_path, "--layer", "side")
    assert "does not depend on layer 'side'" in said


def test_layer_that_is_no_map(tmp_path: Path) -> None:
    said = refused(classifier(softmax=True), tmp_path, "--layer", "logits")
    assert "'logits'" in said


def test_path_that_only_integers_connect(tmp_path: Path) -> None:
    """Class scores that are looked up by an index: differentiable nowhere."""
    net = Net()
    last = trunk(net, net.image())
    best = net.node("ArgMax", net.node("Flatten", net.node("GlobalAveragePool", last), axis=1), axis=1, keepdims=0)
    table = net.random(16, CLASSES, name="table")
    logits = net.node("Gather", table, best, axis=0, name="logits")
    said = refused(net.model(logits), tmp_path)
    assert "logits" in said
    assert "camgraph" not in said or "inspect" in said


def _with_foreign_operators() -> onnx.ModelProto:
    """Two operators of onnxruntime's own domain, and one of the standard."""
    net = Net()
    x = trunk(net, net.image())
    x = net.node("Trilu", x, domain="com.microsoft", name="half")
    x = net.node("Softplus", x, name="soft")
    rows = net.node("Flatten", net.node("GlobalAveragePool", x), axis=1)
    rows = net.node("CDist", rows, net.random(16, 16), domain="com.microsoft", metric="euclidean", name="far")
    return net.model(net.linear(rows, 16, CLASSES, name="logits"))


def test_every_operator_without_a_rule_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(registry._entries, ("", "Softplus"))
    said = refused(_with_foreign_operators(), tmp_path, "--layer", "block")
    for operator, node in (
        ("com.microsoft.Trilu", "half"),
        ("com.microsoft.CDist", "far"),
        ("Softplus", "soft"),
    ):
        assert operator in said
        assert f"'node/{node}'" in said
    assert "Softplus (opset 17)" in said
    assert "com.microsoft.Trilu (opset 1)" in said
    assert "from layer 'block' to score 'logits'" in said
    assert "No layer after them can be explained: export the model without them, or add a rule" in said


def test_a_layer_after_an_operator_without_a_rule_is_named(tmp_path: Path) -> None:
    net = Net()
    x = trunk(net, net.image())
    for number in range(5):
        x = net.node("Trilu", x, domain="com.microsoft", name=f"half{number}")
    x = net.node("Relu", net.conv(x, (16, 16)), name="later")
    said = refused(net.model(net.pooled_head(x, 16)), tmp_path, "--layer", "block")
    assert "There is no derivative for 5 nodes on the path from layer 'block' to score 'logits': " in said
    assert "com.microsoft.Trilu (opset 1) at nodes 'node/half0', 'node/half1', 'node/half2' and 2 more." in said
    assert "Choose a layer after them (closer to the output) with --layer, such as 'Conv_" in said


def test_what_onnxruntime_cannot_load_is_told_with_what_helps(tmp_path: Path) -> None:
    def foreign() -> onnx.ModelProto:
        net = Net()
        x = trunk(net, net.image())
        return net.model(net.pooled_head(net.node("A", net.node("B", x, domain="x.y"), domain="x.y"), 16))

    said = refused(foreign(), tmp_path)
    assert "of a domain that it does not know. Export the model again in standard operators." in said
    assert "(A)" in said
    assert "(B)" in said
    twins = classifier()
    for node in twins.graph.node:
        node.name = "twin"
    assert "Give each node a name of its own." in refused(twins, tmp_path)


def test_operators_that_are_used_in_an_underivable_way_are_all_named(tmp_path: Path) -> None:
    """Two batch normalisations whose variance depends on the image."""
    net = Net()
    x = trunk(net, net.image())
    ones, zeros = net.weight(np.ones(16, np.float32)), net.weight(np.zeros(16, np.float32))
    for name in ("first", "second"):
        square = net.node("Mul", x, x)
        spread = net.node("ReduceMean", square, axes=[0, 2, 3], keepdims=0)
        x = net.node("BatchNormalization", x, ones, zeros, zeros, spread, name=name)
    said = refused(net.model(net.pooled_head(x, 16)), tmp_path, "--layer", "block")
    assert "'node/first'" in said
    assert "'node/second'" in said


def _two_inputs() -> onnx.ModelProto:
    net = Net()
    left, right = net.image(name="left"), net.image(name="right")
    return net.model(net.pooled_head(trunk(net, net.node("Add", left, right)), 16))


def _table_input() -> onnx.ModelProto:
    net = Net()
    return net.model(net.linear(net.image(("N", 12)), 12, CLASSES, name="logits"))


@pytest.mark.parametrize(("model", "named"), [(_two_inputs, ("left", "right")), (_table_input, ("image",))])
def test_inputs_that_are_not_one_image(
    model: Callable[[], onnx.ModelProto], named: tuple[str, ...], tmp_path: Path
) -> None:
    said = refused(model(), tmp_path)
    assert "one image input" in said
    assert all(name in said for name in named)


def test_unknown_score(tmp_path: Path) -> None:
    said = refused(classifier(softmax=True), tmp_path, "--score", "logit", exit_code=2)
    assert "There is no tensor 'logit' to take as the score. Did you mean " in said
    assert "logits" in said


def test_score_of_integers(tmp_path: Path) -> None:
    net = Net()
    logits = net.pooled_head(trunk(net, net.image()), 16)
    best = net.node("ArgMax", logits, axis=1, keepdims=1, name="best")
    model = net.model(logits)
    model.graph.output.append(onnx.helper.make_tensor_value_info(best, onnx.TensorProto.INT64, ("N", 1)))
    said = refused(model, tmp_path, "--score", "best")
    assert "'best' is not a score" in said


def test_score_without_classes(tmp_path: Path) -> None:
    net = Net()
    last = trunk(net, net.image())
    wide = net.node("Reshape", last, net.ints(0, 2, 8, 4, 4, 4), name="wide")
    said = refused(net.model(wide, shapes={"wide": ("N", 2, 8, 4, 4, 4)}), tmp_path)
    assert "'wide'" in said
    assert "--score" in said


def test_wrong_options_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    options = ("--layer", "blok", "--labels", tmp_path / "labels.txt", "--input-size", "32x32")
    said = refused(classifier(), tmp_path, *options, exit_code=2)
    for named in ("'blok'", "2 labels", "5 classes", "16 x 16"):
        assert named in said


def _poisoned(*names: str) -> onnx.ModelProto:
    model = classifier()
    for tensor in model.graph.initializer:
        if tensor.name in names:
            array = onnx.numpy_helper.to_array(tensor).copy()
            array.flat[-1] = np.nan
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    return model


def test_weights_that_are_not_numbers(tmp_path: Path) -> None:
    said = refused(_poisoned("weight_0", "weight_5"), tmp_path)
    assert "The weights 'weight_0', 'weight_5' contain NaN" in said


def test_unused_weights_may_be_anything(tmp_path: Path) -> None:
    model = classifier()
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([np.nan], np.float32), "unused"))
    assert exported(model, tmp_path).manifest.certificate.passed


def _training_batch_norm(net: Net, x: str, name: str) -> str:
    ones, zeros = net.weight(np.ones(16, np.float32)), net.weight(np.zeros(16, np.float32))
    return net.node("BatchNormalization", x, ones, zeros, zeros, ones, name=name, training_mode=1, outputs=3)


def _training_dropout(net: Net, x: str, name: str) -> str:
    return net.node("Dropout", x, net.weight(np.float32(0.5)), net.weight(np.array(True)), name=name)


def _noise(net: Net, x: str, name: str) -> str:
    return net.node("Add", x, net.node("RandomNormalLike", x, name=name))


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (_training_batch_norm, "Node 'node/odd' (BatchNormalization) is in training mode"),
        (_training_dropout, "Node 'node/odd' (Dropout) is in training mode"),
        (_noise, "Node 'node/odd' (RandomNormalLike) is random"),
    ],
)
def test_nodes_for_training_are_named(build: Callable[[Net, str, str], str], why: str, tmp_path: Path) -> None:
    net = Net()
    said = refused(net.model(net.pooled_head(build(net, trunk(net, net.image()), "odd"), 16)), tmp_path)
    assert why in said
    assert "evaluation mode" in said


def test_all_problems_of_a_model_are_told_at_once(tmp_path: Path) -> None:
    net = Net()
    x = _training_dropout(net, trunk(net, net.image()), "drop")
    x = _noise(net, _training_batch_norm(net, x, "norm"), "noise")
    model = net.model(net.pooled_head(x, 16))
    weights = model.graph.initializer[0]
    weights.CopyFrom(onnx.numpy_helper.from_array(np.full(weights.dims, np.nan, np.float32), weights.name))
    said = refused(model, tmp_path)
    for named in ("'node/drop'", "'node/norm'", "'node/noise'", f"{weights.name!r}"):
        assert named in said


def test_random_nodes_beside_the_outputs_do_not_matter(tmp_path: Path) -> None:
    net = Net()
    last = trunk(net, net.image())
    _noise(net, last, "unused")
    assert exported(net.model(net.pooled_head(last, 16)), tmp_path).manifest.certificate.passed


def test_a_model_that_differs_between_runs(tmp_path: Path) -> None:
    """Random in an operator that the standard does not call so: a dropout whose training flag is computed."""
    net = Net()
    last = trunk(net, net.image())
    count = net.node("Size", last)
    flag = net.node("Greater", count, net.ints(0), name="flag")
    flag = net.node("Squeeze", flag, net.ints(0))
    dropped = net.node("Dropout", last, net.weight(np.float32(0.5)), flag, name="odd")
    said = refused(net.model(net.pooled_head(dropped, 16)), tmp_path)
    assert "different results for the same image" in said
    assert "Node 'node/odd' (Dropout) is random" in said


def test_a_model_that_onnxruntime_cannot_run(tmp_path: Path) -> None:
    net = Net()
    last = trunk(net, net.image())
    x = net.node("Conv", last, net.random(4, 7, 3, 3), name="odd")
    said = refused(net.model(net.pooled_head(x, 4)), tmp_path)
    assert "onnxruntime cannot" in said


def test_control_flow_that_depends_on_the_image(tmp_path: Path) -> None:
    net = Net()
    last = trunk(net, net.image())
    mean = net.node("ReduceMean", last, keepdims=0)
    bright = net.node("Greater", mean, net.weight(np.float32(0.1)))
    branches = {}
    for name, op_type in (("then_branch", "Neg"), ("else_branch", "Abs")):
        out = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        branches[name] = onnx.helper.make_graph([onnx.helper.make_node(op_type, [last], [name])], name, [], [out])
    chosen = net.node("If", bright, name="choice", **branches)
    said = refused(net.model(net.pooled_head(chosen, 16)), tmp_path, "--layer", "last")
    assert "If" in said
    assert "'node/choice'" in said
