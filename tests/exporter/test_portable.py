"""The portable form: the same explanation without the operators that runtimes refuse, and a check that proves it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from camgraph_cli.main import cli
from camgraph_core.errors import UsageError
from camgraph_exporter import Exported, export
from camgraph_exporter.certificate.operators import is_portable, operators_portable
from camgraph_exporter.certificate.subject import Subject
from camgraph_runtime.run.engine import Engine
from exporter import vjp_harness as harness
from exporter.op_cases import ALL_CASES
from exporter.op_cases.case import Input, OpCase
from support.nets import Net, trunk

_KEPT = 10


def best_places() -> onnx.ModelProto:
    """Keep the ten places of the last map with the largest mean: a gather whose indices depend on the image."""
    net = Net()
    places = net.node("Reshape", trunk(net, net.image()), net.ints(0, 16, 64))
    strength = net.node("ReduceMean", places, axes=[1], keepdims=1)
    net.node("TopK", strength, net.ints(_KEPT), name="best", outputs=2)
    indices = net.node("Expand", "best:1", net.ints(1, 16, _KEPT))
    kept = net.node("Flatten", net.node("GatherElements", places, indices, axis=2), axis=1)
    return net.model(net.linear(kept, 16 * _KEPT, 5, name="logits"))


def _export(folder: Path, *, portable: bool) -> Exported:
    onnx.save(best_places(), folder / "net.onnx")
    return export(folder / "net.onnx", folder / f"portable_{portable}.onnx", portable=portable)


def test_the_portable_form_explains_alike(tmp_path: Path) -> None:
    default, portable = (_export(tmp_path, portable=flag) for flag in (False, True))
    assert [node.op_type for node in default.model.graph.node if not is_portable(node)] == ["ScatterElements"]
    assert all(map(is_portable, portable.model.graph.node))
    assert portable.manifest.portable
    assert not default.manifest.portable

    image = np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32)
    feeds = {"image": image, "target": np.array([[-1, 3, -5], [0, -2, 4]])}
    found, expected = (Engine(x.model.SerializeToString()).run(feeds) for x in (portable, default))
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-6)


def test_a_scatter_in_a_portable_graph_is_caught(tmp_path: Path) -> None:
    exported = _export(tmp_path, portable=False)
    engine = Engine(exported.model.SerializeToString())
    subject = Subject(exported.model, exported.manifest, engine)
    assert operators_portable(subject).passed
    exported.manifest.portable = True
    check = operators_portable(subject)
    assert (check.passed, check.error) == (False, 1.0)
    assert "ScatterElements" in check.location


@pytest.mark.parametrize(
    ("node", "portable"),
    [
        (onnx.helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2]), True),
        (onnx.helper.make_node("MaxPool", ["x"], ["y", ""], kernel_shape=[2, 2]), True),
        (onnx.helper.make_node("MaxPool", ["x"], ["y", "i"], kernel_shape=[2, 2]), False),
        (onnx.helper.make_node("ScatterND", ["x", "i", "u"], ["y"]), True),
        (onnx.helper.make_node("ScatterND", ["x", "i", "u"], ["y"], reduction="none"), True),
        (onnx.helper.make_node("ScatterND", ["x", "i", "u"], ["y"], reduction="add"), False),
        (onnx.helper.make_node("If", ["c"], ["y"]), False),
    ],
)
def test_which_nodes_are_portable(node: onnx.NodeProto, portable: bool) -> None:
    assert is_portable(node) is portable


def test_portable_and_skippable_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="choose one"):
        export(best_places(), portable=True, skippable=True)
    onnx.save(best_places(), tmp_path / "net.onnx")
    arguments = ["export", str(tmp_path / "net.onnx"), "-o", str(tmp_path / "out.onnx"), "--portable", "--skippable"]
    outcome = CliRunner().invoke(cli, arguments)
    assert outcome.exit_code == 2
    assert not (tmp_path / "out.onnx").exists()


_CUTTING = [case for case in ALL_CASES if case.op_type in {"Pad", "Slice", "Split"} and not case.dynamic]


@pytest.mark.parametrize("case", _CUTTING, ids=str)
def test_zeros_are_put_around_and_elements_cut_by_slices(case: OpCase) -> None:
    """OpenCV pads five axes at most, and ONNX's reference evaluator none by a negative number."""
    gradient = harness.gradient_model(case, np.float32)
    known = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in gradient.model.graph.initializer}
    axes = max(len(item.shape) for item in case.inputs if isinstance(item, Input)) + 1  # targets come first
    for node in gradient.emitted:
        counts = known.get(node.input[1]) if node.op_type == "Pad" else None
        if counts is not None:
            assert counts.min() >= 0
            assert len(counts) <= 2 * axes
