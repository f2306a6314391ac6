"""Follows docs/adding-a-task.md to the letter, in a copy of the repository."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camgraph.v1 import manifest_pb2 as pb
from support.followed_page import PACKAGES, FollowedPage, copy_repository, run

PAGE = FollowedPage("adding-a-task.md")
COPIED = [*PACKAGES, "tests/runtime", "tests/support", "tests/conftest.py", "scripts", "pyproject.toml"]
STUBS, ROWS, EXPORT, EXPLAIN = PAGE.commands
# The counts are those of the trained model, in the same process and through a server.
PROGRAM = """
import shutil, sys
from pathlib import Path

import numpy as np

from camgraph_client import Client
from camgraph_runtime import Explainer
from camgraph_runtime.run.engine import Engine

sys.path.insert(0, "tests")
from support.serving import server_thread

with Explainer("OUT.onnx") as explainer:
    here = explainer.explain("IMAGE.png", top_k=2)
    tensor = explainer.prepare("IMAGE.png").tensor
counts = Engine("MODEL.onnx").run({"image": tensor})["density"][0].sum(axis=(1, 2))
order = np.argsort(-counts)
for found in (here.predictions, [explanation.target for explanation in here.explanations]):
    assert [score.class_index for score in found] == order.tolist()
    np.testing.assert_allclose([score.value for score in found], counts[order], rtol=1e-5)
assert all(explanation.heatmap.any() for explanation in here.explanations)

Path("repository").mkdir()
shutil.copy("OUT.onnx", "repository/counting.onnx")
with server_thread(Path("repository")) as server, Client(server.address) as client:
    there = client.model().explain("IMAGE.png", top_k=2)
assert [score.value for score in there.predictions] == [score.value for score in here.predictions]
for one, other in zip(here.explanations, there.explanations, strict=True):
    np.testing.assert_array_equal(one.heatmap, other.heatmap)
"""
SAVE = "import sys; sys.path.insert(0, 'tests'); import onnx; from support import tasks; "


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in which all blocks of the page were put to their places, with new stubs."""
    folder = tmp_path_factory.mktemp("repository")
    copy_repository(folder, COPIED)
    PAGE.put(folder)
    outcome = run(folder, STUBS)
    assert outcome.returncode == 0, outcome.stderr
    outcome = run(folder, [".venv/bin/python", "-c", f"{SAVE} onnx.save(tasks.counter(), 'MODEL.onnx')"])
    assert outcome.returncode == 0, outcome.stderr
    return folder


def test_the_page_adds_a_task_of_two_files() -> None:
    assert "TASK_COUNTING" not in pb.Task.DESCRIPTOR.values_by_name
    new = [block.path for block in PAGE.blocks if block.is_new]
    assert new == ["exporter/camgraph_exporter/tasks/counting.py", "runtime/camgraph_runtime/tasks/counting.py"]
    assert len(PAGE.blocks) == len(new) + 5


def test_before_it_the_task_is_not_known(tmp_path: Path) -> None:
    copy_repository(tmp_path, ["pyproject.toml"])
    (tmp_path / "MODEL.onnx").touch()
    outcome = run(tmp_path, EXPORT)
    assert outcome.returncode == 2
    assert "'counting' is not one of" in outcome.stderr


def test_its_rows_pass(changed: Path) -> None:
    outcome = run(changed, ROWS)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    [passed] = re.findall(r"(\d+) passed", outcome.stdout)
    assert int(passed) > 10


def test_a_model_is_exported_proven_and_explained(changed: Path) -> None:
    outcome = run(changed, EXPORT)
    assert outcome.returncode == 0, outcome.stderr
    assert "checks passed; gradients are right to" in outcome.stdout
    assert "2 classes" in outcome.stdout
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(changed / "IMAGE.png")
    outcome = run(changed, EXPLAIN)
    assert outcome.returncode == 0, outcome.stderr
    assert len(list(changed.rglob("IMAGE.[12]-*.png"))) == 2
    outcome = run(changed, [".venv/bin/python", "-c", PROGRAM])
    assert outcome.returncode == 0, outcome.stderr
