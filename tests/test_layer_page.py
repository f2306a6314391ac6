"""docs/choosing-a-layer.md shows what `camgraph inspect` prints, and a picture that its program draws."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.exporting import camgraph

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/choosing-a-layer.md").read_text(encoding="utf-8")

IMAGE_SIDE = 224


@pytest.fixture(scope="module")
def inspection() -> dict[str, Any]:
    """What `inspect` says of the example model."""
    result = camgraph("inspect", ROOT / "examples/models/efficientnet_lite0.onnx", "--json")
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_the_table_of_layers_is_what_inspect_says(inspection: dict[str, Any]) -> None:
    rows = re.findall(
        r"^\| `(/\S+)` +\| +(.+?) \| +(\d+) \| +(all|\d+ px) \| +(\S+)M \| +\+(\d+)% \|$", PAGE, re.MULTILINE
    )
    layers = {layer["name"]: layer for layer in inspection["layers"]}
    assert len(rows) == 3
    assert rows[0][0] == inspection["auto_layer"]
    for name, cells, stride, sees, after, cost in rows:
        layer = layers[name]
        assert cells == "{channels} x {height} x {width}".format(**layer)
        assert float(stride) == layer["stride"][0]
        assert sees == ("all" if layer["receptive_field"] >= IMAGE_SIDE else f"{layer['receptive_field']} px")
        assert after == f"{layer['weights_after'] / 1e6:.1f}"
        assert cost == f"{layer['extra_cost']:.0%}".rstrip("%")


def test_the_picture_is_what_the_program_draws(tmp_path: Path) -> None:
    picture = tmp_path / "layers.jpg"
    command = [sys.executable, "examples/compare_layers.py", str(picture)]
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    assert outcome.returncode == 0, outcome.stderr
    with Image.open(picture) as drawn, Image.open(ROOT / "docs/images/layers.jpg") as committed:
        assert drawn.size == committed.size
        difference = np.abs(np.asarray(drawn, np.float64) - np.asarray(committed, np.float64))
    assert difference.mean() < 1
