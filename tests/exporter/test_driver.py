"""The driver and the names of what it adds: shared values, several layers, sources that use our names themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from camgraph_exporter.errors import CertificateError, GradientError
from camgraph_exporter.float64 import Float64Evaluator
from camgraph_exporter.graph.measures import relative_l2
from camgraph_exporter.vjp import registry
from camgraph_runtime.run.engine import Engine
from support.exporting import exported, images, run_graph
from support.nets import CLASSES, IMAGE, Net, classifier, deep_classifier, trunk

TARGETS = [-1, 0, 4]


def slopes(graph: onnx.ModelProto, layer: str, image: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Central differences of the target scores [N, T] along a direction of the layer's values, float64."""
    evaluator = Float64Evaluator(graph)
    feeds = {"image": image.astype(np.float64), "target": np.tile(np.arange(CLASSES), (len(image), 1))}
    base = evaluator.run([layer], feeds)[0]
    step = 1e-6
    ahead, behind = (
        evaluator.run(["target_score"], {**feeds, layer: base + sign * step * direction})[0] for sign in (1, -1)
    )
    return np.asarray((ahead - behind) / (2 * step))


def _used(times: int) -> onnx.ModelProto:
    """A feature map that is read by `times` branches of different kinds."""
    net = Net(seed=times)
    last = trunk(net, net.image())
    branches = [
        net.node("Sigmoid", last),
        net.node("Mul", last, last),
        net.node("Relu", net.conv(last, (16, 16))),
        net.node("Add", last, net.node("GlobalAveragePool", last)),
        net.node("Tanh", last),
    ][:times]
    total = net.node("Sum", *branches)
    return net.model(net.pooled_head(net.node("Softplus", total), 16))


@pytest.mark.parametrize("times", [1, 2, 3, 5])
def test_cotangents_of_all_uses_add_up(times: int, tmp_path: Path) -> None:
    graph = exported(_used(times), tmp_path, layers=("last",), gradients=True).model
    image = images((2, *IMAGE[1:]))
    found = Float64Evaluator(graph).run(
        ["gradients"], {"image": image.astype(np.float64), "target": np.tile(np.arange(CLASSES), (2, 1))}
    )[0]
    direction = np.random.default_rng(0).standard_normal((2, 16, 8, 8))
    expected = slopes(graph, "last", image, direction)
    np.testing.assert_allclose((found * direction[:, None]).sum(axis=(2, 3, 4)), expected, rtol=1e-6, atol=1e-9)


def test_a_value_that_a_node_reads_twice(tmp_path: Path) -> None:
    """x * x and x - x: both inputs of one node are the same value."""
    net = Net()
    last = trunk(net, net.image())
    zero = net.node("Sub", last, last)
    square = net.node("Mul", last, last)
    exported(net.model(net.pooled_head(net.node("Add", zero, square), 16)), tmp_path, layers=("last",), gradients=True)
    found = run_graph(tmp_path / "cam.onnx", images((1, *IMAGE[1:])), [0])
    # d mean(x^2) w / dx = 2 x w / cells: proportional to x in every channel
    ratio = found["gradients"][0, 0] / np.where(found["activations"][0] == 0, np.nan, found["activations"][0])
    assert np.nanmax(np.nanstd(ratio, axis=(1, 2))) <= 1e-6


def test_branches_that_the_layer_does_not_feed_are_left_alone(tmp_path: Path) -> None:
    """A sum with a branch around the layer: the gradient passes on one side, and no node is added for the other."""
    net = Net()
    stem = net.node("Relu", net.conv(net.image(), (3, 8)), name="stem")
    left = net.node("Relu", net.conv(stem, (8, 8)), name="left")
    right = net.node("Relu", net.conv(stem, (8, 8)), name="right")
    result = exported(net.model(net.pooled_head(net.node("Add", left, right), 8)), tmp_path, layers=("left",))
    added = [node.name for node in result.model.graph.node if node.name.startswith("camgraph/")]
    assert not [name for name in added if "right" in name]


def test_several_layers_in_one_graph(tmp_path: Path) -> None:
    """Three layers share one backward pass, and each gets what it gets alone."""
    names = ("joined", "stem", "block")
    result = exported(deep_classifier(), tmp_path, layers=names, gradients=True)
    assert [layer.name for layer in result.manifest.layers] == list(names)
    image = images((2, *IMAGE[1:]))
    together = run_graph(tmp_path / "cam.onnx", image, TARGETS)
    count = len(result.model.graph.node)
    alone_count = 0
    for i, (name, layer) in enumerate(zip(names, result.manifest.layers, strict=True)):
        suffix = f"_{i}" if i else ""
        assert layer.activations_tensor == f"activations{suffix}"
        assert layer.weights_tensor == f"weights{suffix}"
        assert layer.gradients_tensor == f"gradients{suffix}"
        alone = exported(deep_classifier(), tmp_path, layers=(name,), gradients=True).model
        alone_count += len(alone.graph.node) - len(deep_classifier().graph.node)
        found = run_graph(tmp_path / "cam.onnx", image, TARGETS)
        for kind in ("activations", "weights", "gradients"):
            assert relative_l2(together[f"{kind}{suffix}"], found[kind]) <= 1e-6
    assert count - len(deep_classifier().graph.node) < alone_count


def _with_our_names() -> onnx.ModelProto:
    """A source that has been named by somebody with the same ideas."""
    model = classifier()
    renamed = {
        "block": "weights", "pooled": "target", "stem": "target_index", "last": "activations",
        "weight_0": "camgraph/constant",
        "Conv_2": "camgraph/target/Identity_output", "Flatten_11": "camgraph_weights", "logits": "target_score",
    }  # fmt: skip  # a table, in rows of its own
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
    for tensor in (*model.graph.initializer, *model.graph.output):
        tensor.name = renamed.get(tensor.name, tensor.name)
    return model


def test_a_source_with_our_names_keeps_them(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    exported(classifier(), tmp_path / "plain")
    manifest = exported(_with_our_names(), tmp_path).manifest
    proto = onnx.load(tmp_path / "cam.onnx")
    onnx.checker.check_model(proto, full_check=True)
    values = [name for node in proto.graph.node for name in node.output]
    assert len(set(values)) == len(values)
    assert proto.graph.output[0].name == "target_score"

    image = images((2, *IMAGE[1:]))
    target = np.tile(np.asarray(TARGETS), (2, 1))
    found = Engine(tmp_path / "cam.onnx").run({"image": image, manifest.target.target_input: target})
    expected = run_graph(tmp_path / "plain" / "cam.onnx", image, TARGETS)
    np.testing.assert_array_equal(found["target_score"], expected["logits"])
    np.testing.assert_allclose(found[manifest.layers[0].weights_tensor], expected["weights"], rtol=1e-6)
    np.testing.assert_allclose(found[manifest.target.target_score_output], expected["target_score"], rtol=1e-6)
    np.testing.assert_array_equal(found[manifest.target.target_index_output], expected["target_index"])


def test_names_tell_where_nodes_come_from(tmp_path: Path) -> None:
    """Every added node is called after the source node whose derivative it computes."""
    model = deep_classifier()
    own = {node.name for node in model.graph.node}
    result = exported(model, tmp_path, layers=("block",))
    added = [node.name for node in result.model.graph.node if node.name not in own]
    assert all(name.startswith("camgraph/") for name in added)
    assert len(set(added)) == len(added)
    for part in ("node/pooled_grad", "node/joined_grad", "node/Sigmoid_11_grad"):
        assert any(part in name for name in added)


def test_the_source_nodes_are_untouched(tmp_path: Path) -> None:
    """But for one name: the layer's own operator writes the activations, and an Identity after it bears its name."""
    model = deep_classifier()
    result = exported(model, tmp_path, layers=("block",), gradients=True)
    exported_nodes = {node.name: node for node in result.model.graph.node}
    assert (exported_nodes["camgraph/activations"].input, exported_nodes["camgraph/activations"].output) == (
        ["activations"],
        ["block"],
    )
    for node in model.graph.node:
        kept = exported_nodes[node.name]
        outputs = ["activations" if name == "block" else name for name in node.output]
        assert (kept.op_type, kept.domain, kept.input, kept.output) == (
            node.op_type,
            node.domain,
            node.input,
            outputs,
        )
        assert {a.name: a.SerializeToString() for a in kept.attribute} == {
            a.name: a.SerializeToString() for a in node.attribute
        }


def test_nothing_is_left_that_nothing_uses(tmp_path: Path) -> None:
    graph = exported(deep_classifier(), tmp_path, layers=("block",)).model.graph
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    assert not [node.name for node in graph.node if not used.intersection(node.output)]
    assert not [tensor.name for tensor in graph.initializer if tensor.name not in used]


def test_targets_outside_the_classes_are_refused_at_run_time(tmp_path: Path) -> None:
    exported(classifier(), tmp_path)
    for target in (CLASSES, -CLASSES - 1):
        with pytest.raises(Exception, match=r"(?i)index|indices|greater than"):
            run_graph(tmp_path / "cam.onnx", images((1, *IMAGE[1:])), [target])


@pytest.mark.parametrize(
    ("forgetful", "index"),
    [
        (lambda rule: lambda *given: [*rule(*given)][:1], 1),
        (lambda rule: lambda *given: [None, *rule(*given)][:2], 0),
        (lambda _: lambda *_: (), 0),
    ],
    ids=["the last input", "the first input", "every input"],
)
@pytest.mark.parametrize("op_type", ["Add", "Mul", "Concat"])
def test_a_rule_that_forgets_an_input_is_refused_at_its_node(
    op_type: str, forgetful: Callable[[Any], Any], index: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = registry._entries["", op_type]
    monkeypatch.setitem(registry._entries, ("", op_type), dataclasses.replace(entry, rule=forgetful(entry.rule)))
    with pytest.raises(GradientError, match=f"Input {index} of {op_type} node 'node/both' .* no derivative"):
        exported(_joined(op_type), tmp_path, layers=("last",))


def test_a_rule_may_say_that_nothing_flows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the driver believes it, and the certificate does not."""
    entry = registry._entries["", "Mul"]
    assert entry.rule is not None
    silent = dataclasses.replace(entry, rule=lambda *given: [next(iter(entry.rule(*given))), registry.NO_FLOW])
    monkeypatch.setitem(registry._entries, ("", "Mul"), silent)
    with pytest.raises(CertificateError, match=r"gradient-finite-differences .* at 'node/both \(Mul\)'"):
        exported(_joined("Mul"), tmp_path, layers=("last",))


def _joined(op_type: str) -> onnx.ModelProto:
    """Two branches of one layer that meet in a node of two inputs."""
    net = Net()
    last = trunk(net, net.image())
    attributes = {"axis": 1} if op_type == "Concat" else {}
    both = net.node(op_type, net.node("Sigmoid", last), net.node("Tanh", last), name="both", **attributes)
    return net.model(net.pooled_head(both, 32 if op_type == "Concat" else 16))
