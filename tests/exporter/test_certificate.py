"""The certificate catches planted faults and names the check, the error and the node."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from camgraph_exporter import pipeline
from camgraph_exporter.certificate import checks, source_outputs
from camgraph_exporter.certificate.certify import certify, require
from camgraph_exporter.certificate.subject import Subject
from camgraph_exporter.errors import CertificateError
from camgraph_exporter.vjp import registry
from camgraph_runtime.run.engine import Engine
from support.exporting import camgraph, complaint, exported, in_memory
from support.nets import Net, classifier, deep_classifier, trunk

CHECKS = {
    "operators-standard", "source-outputs", "gradient-present", "batch-and-targets", "gradient-finite-differences",
    "gradient-float32",
}  # fmt: skip  # a table, in rows of its own


@pytest.fixture
def break_rule(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[Any, Any], Any]], None]:
    """Return a function that changes the first cotangent of an operator's rule."""

    def break_it(op_type: str, change: Callable[[Any, Any], Any]) -> None:
        entry = registry._entries["", op_type]

        def broken(op: Any, node: Any, *gs: Any) -> Any:
            assert entry.rule is not None
            result = entry.rule(op, node, *gs)
            parts = [result] if isinstance(result, ir.Value) else list(result)
            first = next(i for i, g in enumerate(parts) if isinstance(g, ir.Value) and node.needs(i))
            parts[first] = change(op, parts[first])
            return parts

        monkeypatch.setitem(registry._entries, ("", op_type), dataclasses.replace(entry, rule=broken))

    return break_it


def test_a_right_export_passes_every_check(tmp_path: Path) -> None:
    certificate = exported(deep_classifier(), tmp_path, layers=("block",), gradients=True).manifest.certificate
    assert certificate.passed
    assert {check.name for check in certificate.checks} >= CHECKS
    for check in certificate.checks:
        assert check.passed
        assert check.error <= check.tolerance or check.is_statement
        assert check.description
        assert check.location


@pytest.mark.parametrize(
    "op_type", ["Relu", "Conv", "MaxPool", "Gemm", "Sigmoid", "Concat", "AveragePool", "Flatten", "Add"]
)
def test_a_wrong_rule_is_caught_at_its_node(
    op_type: str, break_rule: Callable[[str, Callable[[Any, Any], Any]], None], tmp_path: Path
) -> None:
    """Off by one per cent in one cotangent: no file, and the first such node from the score on is named."""
    break_rule(op_type, lambda op, g: op.Mul(g, 1.01))
    model = deep_classifier()
    of_type = [node.name for node in model.graph.node if node.op_type == op_type]
    on_path = [name for name in of_type if name != "node/stem"]
    with pytest.raises(CertificateError) as failure:
        exported(model, tmp_path, layers=("stem",))
    message = str(failure.value)
    assert "gradient-finite-differences is off by 0.0" in message
    assert "allowed is 1e-05" in message
    assert f"({op_type})" in message
    last = on_path[-1]
    parallel = {"Conv": {"node/Conv_10", "node/Conv_12"}}.get(op_type, {last})
    assert any(f"'{name} (" in message for name in parallel), message
    assert not (tmp_path / "cam.onnx").exists()


@pytest.mark.parametrize("op_type", ["Relu", "Conv", "MaxPool", "Gemm", "Sigmoid", "AveragePool"])
def test_an_error_of_one_in_ten_thousand_is_caught(
    op_type: str, break_rule: Callable[[str, Callable[[Any, Any], Any]], None], tmp_path: Path
) -> None:
    break_rule(op_type, lambda op, g: op.Mul(g, 1.0001))
    caught = rf"gradient-finite-differences is off by .*\({op_type}\)', allowed is 1e-05"
    with pytest.raises(CertificateError, match=caught):
        in_memory(deep_classifier(), tmp_path, layers=("stem",))


def test_a_lost_branch_is_caught_at_its_node(
    break_rule: Callable[[str, Callable[[Any, Any], Any]], None], tmp_path: Path
) -> None:
    """A rule that returns zeros for one input of a sum, as a forgotten branch would."""
    break_rule("Add", lambda op, g: op.Mul(g, 0.0))
    with pytest.raises(CertificateError, match=r"gradient-finite-differences .* at 'node/Add_5 \(Add\)'"):
        exported(deep_classifier(), tmp_path, layers=("stem",))


def test_a_changed_source_output_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph's weights differ from the source's by one part in ten thousand."""
    assemble = pipeline.assemble

    def changed(*arguments: Any) -> onnx.ModelProto:
        proto = assemble(*arguments)
        tensor = next(t for t in proto.graph.initializer if t.dims == [8, 3, 3, 3])
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.0001), tensor.name))
        return proto

    monkeypatch.setattr(pipeline, "assemble", changed)
    with pytest.raises(CertificateError, match=r"source-outputs is off by .* at 'logits', allowed is 0"):
        exported(classifier(), tmp_path)


def test_what_fusion_changes_is_stated_and_not_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The optimised trained model gives other sums, or no numbers at all: only the latter fails."""
    result = in_memory(classifier(softmax=True), tmp_path)
    for factor, passed in ((1 + 5e-5, True), (1.5, True), (np.nan, False)):
        subject = _subject(result.model, result.manifest)
        subject.source = _Scaled(subject.source, factor)  # type: ignore[assignment]  # it plays the engine
        check = source_outputs.optimised_outputs(subject)
        assert check.passed == passed
        assert check.is_statement
        assert check.error == pytest.approx(abs(factor - 1) / factor if passed else np.inf, rel=1e-2)
        plain = source_outputs.outputs_unchanged(subject)
        assert (plain.error, plain.tolerance) == (0.0, 0.0)


class _Scaled:
    """An engine whose real outputs are multiplied by a factor."""

    def __init__(self, engine: Engine, factor: float) -> None:
        self.inputs, self._engine, self._factor = engine.inputs, engine, np.float32(factor)

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: array * self._factor for name, array in self._engine.run(feeds).items()}


def _over_the_batch(net: Net, last: str) -> str:
    mean = net.node("ReduceMean", last, axes=[0], keepdims=1, name="over_the_batch")
    return net.node("Sub", last, net.node("Mul", mean, net.weight(np.float32(0.5))))


def _turned_around(net: Net, last: str) -> str:
    """Every image gets a share of its neighbour in the batch, as a reshape of the wrong axes would give it."""
    neighbour = net.node("Slice", last, net.ints(-1), net.ints(-(2**31)), net.ints(0), net.ints(-1), name="turned")
    return net.node("Add", last, net.node("Mul", neighbour, net.weight(np.float32(0.5))))


@pytest.mark.parametrize("skippable", [False, True])
@pytest.mark.parametrize("mix", [_over_the_batch, _turned_around])
def test_a_graph_that_mixes_images_of_a_batch_is_caught_at_its_node(
    mix: Callable[[Net, str], str], skippable: bool, tmp_path: Path
) -> None:
    net = Net()
    model = net.model(net.pooled_head(mix(net, trunk(net, net.image())), 16))
    expected = r"batch-and-targets is off by .* at 'node/.* \((Sub|Add|ReduceMean|Mul|Slice)\)'"
    with pytest.raises(CertificateError, match=expected):
        in_memory(model, tmp_path, skippable=skippable)


@pytest.mark.parametrize("check", checks.ALL)
def test_a_check_does_not_depend_on_those_before_it(check: Callable[[Subject], Any], tmp_path: Path) -> None:
    """The same figures come out alone, after other checks, and again; another seed gives others."""
    result = in_memory(deep_classifier(), tmp_path, layers=("block", "stem"))
    recorded = {entry.name: entry for entry in result.manifest.certificate.checks}
    alone = check(_subject(result.model, result.manifest))
    assert (alone.error, alone.location) == (recorded[alone.name].error, recorded[alone.name].location)


def test_each_check_and_each_seed_draws_its_own_images(tmp_path: Path) -> None:
    result = in_memory(classifier(), tmp_path)
    drawn = [
        Subject(result.model, result.manifest, Engine(result.model.SerializeToString()), seed=seed).samples(name)
        for seed, name in ((0, "switch"), (0, "switch"), (1, "switch"), (0, "source-outputs"))
    ]
    first, again, *others = [samples.feeds(2, 2)["image"] for samples in drawn]
    np.testing.assert_array_equal(first, again)
    assert not any(np.array_equal(first, other) for other in others)


def test_an_operator_outside_the_standard_is_caught(tmp_path: Path) -> None:
    """A backward part that leans on an operator of onnxruntime's own domain."""
    result = in_memory(classifier(), tmp_path)
    model = onnx.ModelProto()
    model.CopyFrom(result.model)
    weights = result.manifest.layers[0].weights_tensor
    node = next(node for node in model.graph.node if weights in node.output)
    node.output[0] = "inner"
    model.graph.node.append(
        helper.make_node("FusedMatMul", ["inner", "eye"], [weights], name="foreign", domain="com.microsoft")
    )
    model.graph.initializer.append(numpy_helper.from_array(np.eye(16, dtype=np.float32), "eye"))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    certificate = certify(_subject(model, result.manifest))
    failed = {check.name: check.location for check in certificate.checks if not check.passed}
    assert failed.get("operators-standard") == "foreign"


def test_a_gradient_that_is_zero_everywhere_is_refused(tmp_path: Path) -> None:
    """Scores that a clip has cut off: differentiable on paper, but with nothing to show."""
    net = Net()
    last = trunk(net, net.image())
    logits = net.pooled_head(last, 16)
    shut = net.node("Clip", logits, net.weight(np.float32(1e4)), net.weight(np.float32(2e4)), name="shut")
    with pytest.raises(
        CertificateError, match=r"The gradient at layer 'last', which auto took, is zero everywhere .* --layer"
    ):
        exported(net.model(shut), tmp_path)


def test_each_layer_of_several_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two layers whose weights were swapped: both have as many channels, and only the derivative tells them apart."""
    result = in_memory(classifier(), tmp_path, layers=("block", "stem"))
    first, second = result.manifest.layers
    first.weights_tensor, second.weights_tensor = second.weights_tensor, first.weights_tensor
    certificate = certify(_subject(result.model, result.manifest))
    with pytest.raises(CertificateError, match="gradient-finite-differences is off"):
        require(certificate)


def test_verify_accepts_what_export_wrote(tmp_path: Path) -> None:
    exported(classifier(softmax=True), tmp_path)
    result = camgraph("verify", tmp_path / "cam.onnx", "--seed", 5)
    assert result.exit_code == 0, result.output
    assert "gradient-finite-differences" in result.stdout


def _scale_backward(model: onnx.ModelProto) -> str:
    """Spoil the mean over the cells, as a careless edit of the file would."""
    weights = next(value.name for value in model.graph.output if value.name == "weights")
    node = next(node for node in model.graph.node if weights in node.output)
    node.output[0] = "inner"
    model.graph.node.append(helper.make_node("Mul", ["inner", "double"], [weights], name="planted"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(2, np.float32), "double"))
    return "gradient-finite-differences"


def _break_targets(model: onnx.ModelProto) -> str:
    """Every target gets the weights of the first one."""
    node = next(node for node in model.graph.node if "weights" in node.output)
    node.output[0] = "inner"
    model.graph.node.append(helper.make_node("Gather", ["inner", "first"], ["one"], axis=1, name="planted"))
    model.graph.node.append(helper.make_node("Expand", ["one", "all"], ["weights"], name="planted_too"))
    model.graph.node.append(helper.make_node("Shape", ["inner"], ["all"], name="planted_three"))
    model.graph.node.insert(len(model.graph.node) - 2, model.graph.node.pop())
    model.graph.initializer.append(numpy_helper.from_array(np.array([0]), "first"))
    return "batch-and-targets"


@pytest.mark.parametrize("tamper", [_scale_backward, _break_targets])
def test_verify_refuses_a_tampered_file(tamper: Callable[[onnx.ModelProto], str], tmp_path: Path) -> None:
    exported(classifier(), tmp_path)
    model = onnx.load(tmp_path / "cam.onnx")
    check = tamper(model)
    onnx.save(model, tmp_path / "cam.onnx")
    result = camgraph("verify", tmp_path / "cam.onnx")
    assert result.exit_code == 1
    assert "FAILED" in result.stdout
    assert check in result.stderr


def test_verify_refuses_a_plain_model(tmp_path: Path) -> None:
    onnx.save(classifier(), tmp_path / "plain.onnx")
    said = complaint(camgraph("verify", tmp_path / "plain.onnx"), exit_code=1)
    assert "camgraph export" in said


def _subject(model: onnx.ModelProto, manifest: Any) -> Subject:
    return Subject(model, manifest, Engine(model.SerializeToString()))
