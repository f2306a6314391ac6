"""Runs the commands of docs/detection.md, one after the other, with a detector whose findings are known."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import onnx
import pytest
from PIL import Image

from support.exporting import camgraph
from support.square_detectors import FORMS, Square, picture

PAGE = (Path(__file__).resolve().parents[1] / "docs/detection.md").read_text(encoding="utf-8")
SQUARES = (Square("red", 8, 8), Square("green", 56, 32))


def test_the_commands_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    onnx.save(FORMS["ssd"].build(), "detector.onnx")
    large = picture(SQUARES).repeat(2, axis=0).repeat(2, axis=1)
    Image.fromarray(large).save("street.jpg", quality=95, subsampling=0)
    [block] = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    said = []
    for line in block.splitlines():
        result = camgraph(*shlex.split(line)[1:])
        assert result.exit_code == 0, (line, result.stderr)
        said.append(re.findall(r"wrote .*?street\.(\d)-class_(\d)_box_\d+\.png", re.sub(r"\n", "", result.stdout)))
    assert said == [[], [("1", "1"), ("2", "2")], [("1", "2")], [("1", "2")], [("1", "2")]]
