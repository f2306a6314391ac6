"""Follows docs/adding-a-method.md to the letter, in a copy of the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from camgraph_runtime.maps.cam import METHODS
from support.followed_page import FollowedPage, copy_repository, run
from support.serving import png
from support.tiny_graph import TinyGraph

PAGE = FollowedPage("adding-a-method.md")
COPIED = [
    "runtime",
    "tests/runtime/test_methods.py",
    "tests/exporter",
    "tests/support",
    "tests/conftest.py",
    "scripts",
    "docs",
    "pyproject.toml",
    ".mdformat.toml",
]
METHOD = "absolute-grad-cam"

# What the last paragraph of the page says of programs and of clients.
PROGRAM = """
import sys
from pathlib import Path

import numpy as np

from camgraph_client import Client
from camgraph_runtime import Explainer

sys.path.insert(0, "tests")
from support.serving import server_thread

with Explainer("GRAPH") as explainer:
    [plain] = explainer.explain("PHOTO", method="grad-cam").explanations
    [here] = explainer.explain("PHOTO", method="absolute-grad-cam").explanations
weights, activations = (values[0].astype(np.float64) for values in (plain.weights, plain.activations))
assert (weights < 0).any() and (weights > 0).any()
np.testing.assert_allclose(here.raw_maps[0], np.einsum("k,khw->hw", abs(weights), activations), rtol=1e-5, atol=1e-6)

with server_thread(Path("repository")) as server, Client(server.address) as client:
    [there] = client.model().explain("PHOTO", method="absolute-grad-cam").explanations
np.testing.assert_array_equal(there.heatmap, here.heatmap)
assert there.method == here.method == "absolute-grad-cam"
"""


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in which all blocks of the page were put to their places."""
    folder = tmp_path_factory.mktemp("repository")
    copy_repository(folder, COPIED)
    PAGE.put(folder)
    model = folder / "repository/tiny/1/model.onnx"
    model.parent.mkdir(parents=True)
    for path in (model, folder / "GRAPH"):
        path.write_bytes(TinyGraph().serialize())
    (folder / "PHOTO").write_bytes(png())
    return folder


def test_the_page_adds_a_method_in_one_place() -> None:
    assert METHOD not in METHODS
    assert [block.path for block in PAGE.blocks] == [
        "runtime/camgraph_runtime/maps/cam.py",
        "tests/runtime/test_methods.py",
    ]
    assert [command[0] for command in PAGE.commands] == [".venv/bin/python", ".venv/bin/python", "camgraph"]


def test_its_tests_pass(changed: Path) -> None:
    outcome = run(changed, PAGE.commands[0])
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_it_stands_on_the_pages(changed: Path) -> None:
    outcome = run(changed, PAGE.commands[1])
    assert outcome.returncode == 0, outcome.stderr
    methods, options = ((changed / "docs" / name).read_text(encoding="utf-8") for name in ("methods.md", "cli.md"))
    assert re.search(
        rf"^\| `{METHOD}` \| `sum \\\|alpha\\\| A` \|  \| Grad-CAM without the sign", methods, re.MULTILINE
    )
    assert f"\\|{METHOD}]" in options


def test_a_program_and_a_server_explain_with_it(changed: Path) -> None:
    outcome = run(changed, [".venv/bin/python", "-c", PROGRAM])
    assert outcome.returncode == 0, outcome.stderr


def test_the_command_line_explains_with_it(changed: Path) -> None:
    outcome = run(changed, PAGE.commands[2])
    assert outcome.returncode == 0, outcome.stderr
    assert len(list((changed / "explanations").iterdir())) == 2


def test_without_the_page_its_name_is_refused(tmp_path: Path) -> None:
    copy_repository(tmp_path, COPIED)
    (tmp_path / "GRAPH").write_bytes(TinyGraph().serialize())
    (tmp_path / "PHOTO").write_bytes(png())
    outcome = run(tmp_path, PAGE.commands[2])
    assert outcome.returncode == 2
    assert METHOD in outcome.stderr
