"""y = x s(x), as exporters write SiLU and hard-swish, is differentiated as one function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from camgraph_exporter.vjp import driver
from support.exporting import exported, images, run_graph
from support.nets import Net

GATES: dict[str, dict[str, Any]] = {"Sigmoid": {}, "HardSigmoid": {"alpha": 1 / 6, "beta": 0.5}}


def _net(gate: str, *, turned: bool = False, read_again: bool = False) -> onnx.ModelProto:
    net = Net(seed=6)
    x = net.node("Relu", net.conv(net.image(), (3, 8)), name="layer")
    before = net.conv(x, (8, 8), name="before")
    s = net.node(gate, before, name="gate", **GATES[gate])
    y = net.node("Mul", *((s, before) if turned else (before, s)), name="gated")
    if read_again:
        y = net.node("Add", y, s)
    return net.model(net.pooled_head(net.conv(y, (8, 8)), 8))


def _gradients(model: onnx.ModelProto, folder: Path, **options: Any) -> np.ndarray:
    folder.mkdir()
    exported(model, folder, gradients=True, **options)
    return run_graph(folder / "cam.onnx", images((2, 3, 16, 16)), [0, -1])["gradients"]


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("turned", [False, True])
def test_it_is_the_gradient_of_the_two_nodes(
    gate: str, turned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = _gradients(_net(gate, turned=turned), tmp_path / "together", layers=["layer"])
    monkeypatch.setattr(driver, "gated_slope", lambda *_: None)
    apart = _gradients(_net(gate, turned=turned), tmp_path / "apart", layers=["layer"])
    np.testing.assert_allclose(together, apart, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("gate", GATES)
def test_one_product_a_target(gate: str, tmp_path: Path) -> None:
    """Only the cotangent's own product has the axis of targets; the slope has none."""
    graph = exported(_net(gate), tmp_path, layers=["layer"]).model.graph
    assert not [node.name for node in graph.node if "node/gate_grad" in node.name]
    of_targets = {"target"}
    for node in graph.node:
        if of_targets.intersection(node.input):
            of_targets.update(node.output)
    inside = [node for node in graph.node if "node/gated_grad" in node.name]
    assert [node.op_type for node in inside if of_targets.intersection(node.input)] == ["Mul"]


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("layers", [["gate"], ["gate", "layer"]])
def test_the_gate_itself_can_be_explained(gate: str, layers: list[str], tmp_path: Path) -> None:
    made = exported(_net(gate), tmp_path, layers=layers, gradients=True)
    assert made.manifest.certificate.passed


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_that_others_read_is_differentiated_by_itself(gate: str, tmp_path: Path) -> None:
    made = exported(_net(gate, read_again=True), tmp_path, layers=["layer"], gradients=True)
    assert made.manifest.certificate.passed
    assert any("node/gate_grad" in node.name for node in made.model.graph.node)
