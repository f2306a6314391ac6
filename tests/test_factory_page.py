"""Runs the commands of docs/factory.md, and looks at what they find."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from camgraph_runtime.bank.memory_bank import LABEL
from support.docs_page import blocks, link_examples, page, run
from support.exporting import camgraph
from support.serving import server_process


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the commands of the page ran."""
    folder = tmp_path_factory.mktemp("factory")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        link_examples()
        [block] = blocks(page("factory.md"))
        for line in block.splitlines():
            run(line)
    return folder


def test_the_commands_of_the_page(factory: Path) -> None:
    page = (factory / "parts.html").read_text(encoding="utf-8")
    assert page.count("<tr class=") == 16
    assert page.count(LABEL) >= 16
    assert list((factory / "explanations").glob("four_holes.1-good_0*.png"))


def test_scratched_parts_are_told_apart(factory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(factory)
    words = ("--graph", "parts.onnx", "--bank", "bank.npz", "--json", "all.json", "-o", "bank_alone")
    result = camgraph("explain", "parts/test", *words)
    assert result.exit_code == 0, result.stderr
    scores: dict[bool, list[float]] = {False: [], True: []}
    for row in json.loads(Path("all.json").read_text(encoding="utf-8"))["images"]:
        [explanation] = row["explanations"]
        scores["scratched" in row["image"]].append(explanation["target"]["score"])
    assert max(scores[False]) < 1.2
    assert min(scores[True]) > 1.5


def test_a_folder_of_good_parts_is_a_bank(factory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same as that of `build-bank`, in one command."""
    monkeypatch.chdir(factory)
    layers = ["--layer", "/_blocks.10/Add_output_0", "--layer", "/_blocks.4/Add_output_0"]
    rows = []
    for bank in ("bank.npz", "parts/good"):
        words = ("--graph", "parts.onnx", *layers, "--bank", bank, "--json", "kept.json", "-o", f"of_{Path(bank).name}")
        result = camgraph("explain", "parts/test/scratched_00.png", *words)
        assert result.exit_code == 0, result.stderr
        [row] = json.loads(Path("kept.json").read_text(encoding="utf-8"))["images"]
        rows.append({**row["explanations"][0], "map": None})
    assert rows[0] == rows[1]
    assert "patches was built from 24 good images" in result.stderr


@pytest.mark.parametrize(
    ("where", "code", "said"),
    [
        (["--server", "127.0.0.1:9"], 2, "is a folder, whose bank is built in this process of whole images"),
        (["--graph", "parts.onnx", "--bank", "alone"], 1, "A bank needs two good images or more"),
        (["--graph", "parts.onnx", "--bank", "empty"], 2, "The folder empty has no pictures"),
    ],
)
def test_a_folder_that_makes_no_bank_is_said(
    factory: Path, monkeypatch: pytest.MonkeyPatch, where: list[str], code: int, said: str
) -> None:
    monkeypatch.chdir(factory)
    for name in ("empty", "alone"):
        Path(name).mkdir(exist_ok=True)
    Path("alone/good.png").write_bytes(Path("parts/good/00.png").read_bytes())
    words = ("--bank", "parts/good", *where, "-o", "nothing")
    result = camgraph("explain", "parts/test/scratched_00.png", *words)
    assert result.exit_code == code, result.stderr
    assert said in result.stderr


def test_a_server_gives_what_a_bank_needs(factory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(factory)
    (tmp_path / "models").mkdir()
    (tmp_path / "models/parts.onnx").write_bytes((factory / "parts.onnx").read_bytes())
    pictures = []
    with server_process(tmp_path / "models") as process:
        for place in (["--graph", "parts.onnx"], ["--server", process.address, "--model", "parts"]):
            out = tmp_path / place[0].strip("-")
            words = ("--bank", "bank.npz", "--reference", "parts/other", "-o", str(out), *place)
            result = camgraph("explain", "parts/test/scratched_00.png", *words)
            assert result.exit_code == 0, result.stderr
            pictures.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) == 3


def test_a_bank_of_another_graph_is_refused(factory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(factory)
    with np.load("bank.npz") as arrays:
        held = dict(arrays)
    header = json.loads(held["header"].tobytes())
    held["header"] = np.frombuffer(json.dumps({**header, "graph": "0" * 64}).encode(), np.uint8)
    with (tmp_path / "other.npz").open("wb") as file:
        np.savez(file, **held)
    words = ("--graph", "parts.onnx", "--bank", str(tmp_path / "other.npz"), "-o", str(tmp_path / "out"))
    result = camgraph("explain", "parts/test/scratched_00.png", *words)
    assert result.exit_code == 2
    assert "built with another graph" in result.stderr
