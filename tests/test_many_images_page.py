"""Runs the commands of docs/many-images.md in a folder that has what they name."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from support.docs_page import blocks, page, run
from support.serving import png, write_model


def test_the_commands_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(write_model(tmp_path / "made"), "model.onnx")
    for seed, label in enumerate(("cat", "dog", "bird")):
        for folder in (Path("photos"), Path("by_class", label)):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{label}.png").write_bytes(png(seed=seed))
    Path("truth.csv").write_text("name,label\ncat.png,cat\ndog.png,1\n", encoding="utf-8")
    [block] = blocks(page("many-images.md"))
    made = []
    for line in block.splitlines():
        Path("report.html").unlink(missing_ok=True)
        run(line)
        made.append(Path("report.html").read_text(encoding="utf-8") if Path("report.html").exists() else "")
    assert ["predictions are right" in page for page in made] == [False, False, True, True]
    assert [page.count("<tr class=") for page in made] == [3, 0, 3, 3]
    assert "of 2 predictions are right" in made[2]
    assert "of 3 predictions are right" in made[3]
    assert len(list(Path("explanations").glob("*.map.npy"))) == 3
    assert np.load(next(Path("explanations").glob("*.map.npy"))).shape == (30, 40)
