"""Runs the commands and the program of docs/segmentation.md with the models and photos that it names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from support.exporting import camgraph

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/segmentation.md").read_text(encoding="utf-8")
TITLES = [
    ["road"], ["car", "car"], ["car"], ["road"],
    ["field", "forest", "water"], ["field_not_forest"],
    ["lesion", "lesion"], ["against_lesion"],
]  # fmt: skip  # a row for each model
"""What each command explains, in the order of the page; an export explains nothing."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the examples, in which commands run."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_and_the_program_of_the_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            result = camgraph(*shlex.split(line)[1:])
            assert result.exit_code == 0, (line, result.stderr)
            written = re.sub(r"\n", "", result.stdout)
            if " explain " in line:
                said.append(re.findall(r"\w+\.\d-(\w+)\.png", written))
    assert said == TITLES
    assert {path.name for path in folder.glob("*.onnx")} == {"road.cam.onnx", "land.cam.onnx", "clinic.cam.onnx"}
    capsys.readouterr()
    [program] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    exec(program, {})
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == ["car", "car", "road"]
    assert all(int(line.split()[-1]) > 500 for line in printed)


def test_the_pictures_of_the_page_are_small() -> None:
    for name in re.findall(r"\(images/([\w-]+\.\w+)\)", PAGE):
        assert 5_000 < (ROOT / "docs/images" / name).stat().st_size < 120_000
