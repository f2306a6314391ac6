"""Runs the commands of docs/detection.md, one after the other, with a detector whose findings are known."""

from __future__ import annotations

import re
from pathlib import Path

import onnx
import pytest
from PIL import Image

from support.docs_page import blocks, page, run
from support.square_detectors import FORMS, Square, picture

SQUARES = (Square("red", 8, 8), Square("green", 56, 32))


def test_the_commands_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    onnx.save(FORMS["ssd"].build(), "detector.onnx")
    large = picture(SQUARES).repeat(2, axis=0).repeat(2, axis=1)
    Image.fromarray(large).save("street.jpg", quality=95, subsampling=0)
    [block] = blocks(page("detection.md"))
    said = [
        re.findall(r"wrote .*?street\.(\d)-class_(\d)_box_\d+\.png", run(line).replace("\n", ""))
        for line in block.splitlines()
    ]
    assert said == [[], [("1", "1"), ("2", "2")], [("1", "2")], [("1", "2")], [("1", "2")]]
