"""Follows docs/adding-an-operator.md to the letter, in a copy of the repository."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from camgraph_exporter.vjp import driver as _driver  # noqa: F401  importing the driver registers the rules
from camgraph_exporter.vjp import registry
from camgraph_runtime.manifest import manifest_from_metadata
from camgraph_runtime.run.engine import Engine
from support.followed_page import FollowedPage, copy_repository, run

PAGE = FollowedPage("adding-an-operator.md")
COPIED = [
    "exporter",
    "tests/exporter",
    "tests/support",
    "tests/conftest.py",
    "scripts",
    "docs",
    "pyproject.toml",
    ".mdformat.toml",
]
OPERATOR, DOMAIN = "Scaler", "ai.onnx.ml"


def copy_to(folder: Path) -> None:
    """Copies the exporter, its tests and the pages as they are, and puts a model beside them."""
    copy_repository(folder, COPIED)
    save_model(folder / "MODEL.onnx")


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in which all blocks of the page were put to their places."""
    folder = tmp_path_factory.mktemp("repository")
    copy_to(folder)
    PAGE.put(folder)
    return folder


def save_model(path: Path) -> None:
    """A small network with the operator between the map NAME and the score."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.standard_normal((4, 3, 3, 3)), "v": rng.standard_normal((4, 4, 1, 1)), "u": np.eye(4)}
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["NAME"], pads=[1, 1, 1, 1]),
        helper.make_node("Tanh", ["NAME"], ["active"]),
        helper.make_node("Conv", ["active", "v"], ["mixed"]),
        helper.make_node(OPERATOR, ["mixed"], ["halved"], name="halve", domain=DOMAIN, offset=[1.0], scale=[0.5]),
        helper.make_node("GlobalAveragePool", ["halved"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node(OPERATOR, ["flat"], ["scaled"], name="standardise", domain=DOMAIN, offset=[1.0], scale=[0.5]),
        helper.make_node("Gemm", ["scaled", "u"], ["mixture"]),
        helper.make_node(
            OPERATOR, ["mixture"], ["logits"], domain=DOMAIN, offset=[0.0, 1.0, 2.0, 3.0], scale=[1.0, 2.0, -1.0, 0.5]
        ),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 16, 16])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 4])
    constants = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "net", [image], [logits], constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)


def test_the_page_adds_an_operator_that_has_no_rule() -> None:
    assert registry.named(OPERATOR, DOMAIN) is None
    assert len(PAGE.blocks) == 5
    assert [command[0] for command in PAGE.commands] == [".venv/bin/python", ".venv/bin/python", "camgraph"]


def test_before_it_the_operator_is_refused_by_name(tmp_path: Path) -> None:
    copy_to(tmp_path)
    outcome = run(tmp_path, PAGE.commands[2])
    assert outcome.returncode == 1
    assert f"{DOMAIN}.{OPERATOR}" in outcome.stderr
    assert "'standardise'" in outcome.stderr
    assert "adding-an-operator" in outcome.stderr


def test_its_cases_pass(changed: Path) -> None:
    outcome = run(changed, PAGE.commands[0])
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    # Six checks on the rule in each of two cases: two sizes against finite differences, and one each of the others.
    # And each of its three traits is tried out in both.
    assert "18 passed" in outcome.stdout


def test_it_stands_on_the_page_of_operators(changed: Path) -> None:
    outcome = run(changed, PAGE.commands[1])
    assert outcome.returncode == 0, outcome.stderr
    page = (changed / "docs/operators.md").read_text(encoding="utf-8")
    assert re.search(
        rf"^\| {DOMAIN}\.{OPERATOR} \| dx = g scale, with .* \| 13 \| 2 \| elementwise, affine, linear \|$",
        page,
        re.MULTILINE,
    )


def ends_of_blocks(folder: Path) -> list[str]:
    """The layers that `camgraph inspect` lists."""
    outcome = run(folder, ["camgraph", "inspect", "MODEL.onnx"])
    assert outcome.returncode == 0, outcome.stderr
    return [name for name in ("NAME", "active", "mixed", "halved") if re.search(rf"\b{name}\b", outcome.stdout)]


def test_its_traits_choose_layers(changed: Path, tmp_path: Path) -> None:
    copy_to(tmp_path)
    assert ends_of_blocks(tmp_path) == ["active", "mixed", "halved"]
    # As before any affine operator, the convolution's map does not end its block.
    assert ends_of_blocks(changed) == ["active", "halved"]


def test_a_model_with_it_is_exported_and_proven(changed: Path) -> None:
    outcome = run(changed, PAGE.commands[2])
    assert outcome.returncode == 0, outcome.stderr
    graph = changed / "OUT.onnx"
    certificate = manifest_from_metadata(Engine(graph).metadata, str(graph)).certificate
    errors = {check.name: check.error for check in certificate.checks}
    assert certificate.passed
    assert 0 < errors["gradient-finite-differences"] < 1e-6
