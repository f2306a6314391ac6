"""Runs the commands of docs/remote-sensing.md, with the network and the scene that its program makes."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from camgraph_runtime import Explainer
from support.docs_page import ROOT, blocks, page, run


@pytest.fixture(scope="module")
def program() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "examples/land_cover.py"))


@pytest.fixture(scope="module")
def folder(program: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands of the page were run, all of them in their order."""
    folder = tmp_path_factory.mktemp("page")
    commands = [line for block in blocks(page("remote-sensing.md")) for line in block.splitlines()]
    assert [line.split()[0] for line in commands] == ["pip", "python", "camgraph", "camgraph", "camgraph"]
    assert commands[1] == "python examples/land_cover.py"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        program["write"](folder)
        for line in commands[2:]:
            run(line)
    return folder


def test_heat_lies_on_the_class_and_nothing_is_painted_beside_the_swath(folder: Path, program: dict[str, Any]) -> None:
    cover, scene = program["truth"](), program["scene"](program["truth"]())
    missing = (scene == 0).all(axis=2)
    assert 0.05 < missing.mean() < 0.08
    for number, name in enumerate(("water", "vegetation"), start=1):
        values = tifffile.imread(folder / "scene" / f"scene.{number}-{name}.map.tif")
        np.testing.assert_array_equal(np.isnan(values), missing)
        on_class = cover == program["CLASSES"].index(name)
        assert np.nansum(values[on_class]) > 0.95 * np.nansum(values), name
        assert on_class[~missing].mean() < 0.6


def test_windows_give_the_map_of_the_whole_scene(folder: Path) -> None:
    whole = Explainer(folder / "land.cam.onnx").explain(folder / "scene.tif", num_predictions=4)
    by_area = [score.label for score in whole.predictions]
    assert by_area == ["vegetation", "bare ground", "water", "cloud"]
    first = tifffile.imread(folder / "scene/scene.2-vegetation.map.tif")
    heatmap = whole.explanations[0].heatmap
    assert np.nanmean(np.abs(first - heatmap)) < 0.02
    assert first.shape == heatmap.shape


def test_overlays_lie_on_the_ground(folder: Path) -> None:
    assert (folder / "scene/scene.1-water.pgw").read_text(encoding="ascii").split() == [
        "10", "0", "0", "-10", "600005", "5699995"
    ]  # fmt: skip  # one line of a world file each
    with Image.open(folder / "explanations/scene.1-water.png") as overlay:
        assert overlay.size == (640, 480)


def test_the_picture_of_the_page_is_small() -> None:
    path = ROOT / "docs/images/remote-sensing.jpg"
    assert path.stat().st_size < 150_000
