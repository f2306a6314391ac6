"""Runs the commands of docs/clinic.md, and asks a server for the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from camgraph_client import Client
from camgraph_core.errors import UsageError
from camgraph_core.windows import WINDOWS
from camgraph_runtime import Explainer
from support.docs_page import blocks, link_examples, page, run
from support.serving import server_process

PAGE = page("clinic.md")


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the commands of the page ran."""
    folder = tmp_path_factory.mktemp("clinic")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        link_examples()
        install, commands = blocks(PAGE)
        assert install.startswith("pip install")
        for line in commands.splitlines():
            run(line)
    return folder


def test_the_commands_of_the_page(clinic: Path) -> None:
    rows = json.loads((clinic / "scans.json").read_text(encoding="utf-8"))["images"]
    assert [row["image"] for row in rows] == [f"scans/{name}.dcm" for name in ("inverted", "slice", "volume")]
    assert all("names no window" in row["warnings"][0] for row in rows)
    assert "Phantom" not in (clinic / "scans.json").read_text(encoding="utf-8")
    assert len(list((clinic / "explanations").glob("slice_12*.png"))) == 2


def test_the_table_of_windows() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (-?\d+), (\d+) \| (-?\d+), (-?\d+) \|$", PAGE, re.MULTILINE)
    assert {name for name, *_ in rows} == {name for name in WINDOWS if not name.endswith("bit")}
    for name, centre, width, low, high in rows:
        assert WINDOWS[name] == (float(low), float(high))
        assert (float(low) + float(high), float(high) - float(low)) == (2 * float(centre), float(width))


def test_one_slice_scores_alike_in_every_file(clinic: Path) -> None:
    scans, best = clinic / "scans", []
    with Explainer(clinic / "chest.cam.onnx") as explainer:
        for name, options in {
            "slice_8.png": {},
            "slice_12.png": {"window": "12bit"},
            "slice_16.png": {},
            "slice.dcm": {},
            "inverted.dcm": {},
        }.items():
            result = explainer.explain(scans / name, **options)
            best.append((result.predictions[0].label, result.predictions[0].score))
    for label, score in best:
        assert label == best[0][0]
        assert score == pytest.approx(best[0][1], rel=0.01)


def test_a_server_reads_the_same(clinic: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models/chest.onnx").write_bytes((clinic / "chest.cam.onnx").read_bytes())
    path = clinic / "scans/volume.dcm"
    with (
        server_process(tmp_path / "models") as process,
        Client(process.address) as client,
        Explainer(clinic / "chest.cam.onnx") as explainer,
    ):
        model = client.model("chest")
        with pytest.raises(UsageError, match="has 3 frames"):
            model.explain(path)
        for frame in (1, 3):
            options = {"window": "lung", "frame": frame, "outputs": ["input-heatmap"]}
            remote, local = model.explain(path, **options), explainer.explain(path, **options)
            assert remote.predictions == local.predictions
            np.testing.assert_array_equal(remote.explanations[0].overlay(), local.explanations[0].overlay())
            np.testing.assert_array_equal(remote.photo, local.photo)
