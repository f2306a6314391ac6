"""Follows docs/adding-an-operator.md to the letter, in a copy of the repository."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from camgraph_exporter.vjp import driver as _driver  # noqa: F401  importing the driver registers the rules
from camgraph_exporter.vjp import registry
from camgraph_runtime.manifest import manifest_from_metadata
from camgraph_runtime.run.engine import Engine

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/adding-an-operator.md").read_text(encoding="utf-8")
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


def additions() -> list[tuple[str, str]]:
    """The files that the page names, each with the block of code that goes to its end."""
    return re.findall(r"In\s`([\w/.]+\.py)`:\n\n```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """What the page's shell blocks run."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def copy_to(folder: Path) -> None:
    """Copies the exporter, its tests and the pages as they are, and puts a model beside them."""
    for name in COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.png"))
        else:
            shutil.copy(source, target)
    save_model(folder / "MODEL.onnx")


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in which all blocks of the page were put to their places."""
    folder = tmp_path_factory.mktemp("repository")
    copy_to(folder)
    for name, code in additions():
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write(f"\n\n{code}")
    return folder


def run(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs a command of the page in the copy, whose exporter comes before the installed one."""
    program, *arguments = command
    scripts = Path(sys.executable).parent
    program = sys.executable if program == ".venv/bin/python" else str(scripts / program)
    environment = {**os.environ, "PYTHONPATH": str(folder / "exporter"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=240
    )


def save_model(path: Path) -> None:
    """A small network with the operator between the map NAME and the score."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.standard_normal((4, 3, 3, 3)), "v": rng.standard_normal((4, 4, 1, 1)), "u": np.eye(4)}
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["NAME"], pads=[1, 1, 1, 1]),
        helper.make_node("Tanh", ["NAME"], ["active"]),
        helper.make_node("Conv", ["active", "v"], ["mixed"]),
        helper.make_node("GlobalAveragePool", ["mixed"], ["pooled"]),
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
    assert len(additions()) == 4
    assert [command[0] for command in commands()] == [".venv/bin/python", ".venv/bin/python", "camgraph"]
    shown = PAGE.count("<!-- shown only -->")
    assert PAGE.count("```python") == len(additions()) + shown


def test_before_it_the_operator_is_refused_by_name(tmp_path: Path) -> None:
    copy_to(tmp_path)
    outcome = run(tmp_path, commands()[2])
    assert outcome.returncode == 1
    assert f"{DOMAIN}.{OPERATOR}" in outcome.stderr
    assert "'standardise'" in outcome.stderr
    assert "adding-an-operator" in outcome.stderr


def test_its_rows_pass(changed: Path) -> None:
    outcome = run(changed, commands()[0])
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    # Two rows, and six checks on each: two sizes against finite differences, and one each of the others.
    assert "12 passed" in outcome.stdout


def test_it_stands_on_the_page_of_operators(changed: Path) -> None:
    outcome = run(changed, commands()[1])
    assert outcome.returncode == 0, outcome.stderr
    page = (changed / "docs/operators.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| {DOMAIN}\.{OPERATOR} \| dx = g scale, with .* \| 13 \| 2 \|$", page, re.MULTILINE)


def test_a_model_with_it_is_exported_and_proven(changed: Path) -> None:
    outcome = run(changed, commands()[2])
    assert outcome.returncode == 0, outcome.stderr
    graph = changed / "OUT.onnx"
    certificate = manifest_from_metadata(Engine(graph).metadata, str(graph)).certificate
    errors = {check.name: check.error for check in certificate.checks}
    assert certificate.passed
    assert 0 < errors["gradient-finite-differences"] < 1e-6
