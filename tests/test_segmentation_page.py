"""Runs the commands and the program of docs/segmentation.md with the models and photos that it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.docs_page import ROOT, blocks, link_examples, page, run

PAGE = page("segmentation.md")
TITLES = [
    ["road"], ["car", "car"], ["car"], ["road"],
    ["field", "forest", "water"], ["field_not_forest"],
    ["lesion", "lesion"], ["against_lesion"],
]  # fmt: skip  # a row for each model
"""What each command explains, in the order of the page; an export explains nothing."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the examples, in which commands run."""
    monkeypatch.chdir(tmp_path)
    link_examples()
    return tmp_path


def test_the_commands_and_the_program_of_the_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for block in blocks(PAGE):
        for line in block.splitlines():
            written = run(line).replace("\n", "")
            if " explain " in line:
                said.append(re.findall(r"\w+\.\d-(\w+)\.png", written))
    assert said == TITLES
    assert {path.name for path in folder.glob("*.onnx")} == {"road.cam.onnx", "land.cam.onnx", "clinic.cam.onnx"}
    capsys.readouterr()
    [program] = blocks(PAGE, "python")
    exec(program, {})
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == ["car", "car", "road"]
    assert all(int(line.split()[-1]) > 500 for line in printed)


def test_the_pictures_of_the_page_are_small() -> None:
    for name in re.findall(r"\(images/([\w-]+\.\w+)\)", PAGE):
        assert 5_000 < (ROOT / "docs/images" / name).stat().st_size < 120_000
