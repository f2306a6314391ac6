"""`camgraph explain --tile`: scenes window by window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from camgraph_exporter import Input
from camgraph_runtime import Explainer, SceneExplainer
from support.exporting import camgraph, complaint, exported
from support.image_models import SIDE, classifier
from support.rasters import GEO_TAGS, tiff


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    exported(classifier(None, ("N", 4, SIDE, SIDE), channels=4), tmp_path, input=Input(value_range=(0, 1)))
    return tmp_path / "cam.onnx"


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    image = np.random.default_rng(0).random((60, 90, 4)).astype(np.float32)
    (tmp_path / "scene.tif").write_bytes(tiff(image, tile=(16, 16)))
    return tmp_path / "scene.tif"


def test_a_scene_has_one_overlay_panel_map_and_row(graph: Path, scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["--tile", 32, "--overlap", 16, "--top-k", 2, "--maps", "npy", "--json", tmp_path / "rows.json"]
    done = camgraph("explain", scene, "--graph", graph, "-o", out, *options)
    assert done.exit_code == 0, done.output
    assert "was explained in 15 windows." in " ".join(done.stdout.split())
    expected = SceneExplainer(Explainer(graph), tile=32, overlap=16).explain(scene, top_k=2)
    overlays = sorted(out.glob("scene.?-*.png"))
    for overlay, explanation in zip(overlays, expected.explanations, strict=True):
        with Image.open(overlay) as image:
            np.testing.assert_array_equal(np.asarray(image), explanation.overlay())
        heatmap = np.load(overlay.with_suffix(".map.npy"))
        np.testing.assert_array_equal(heatmap, explanation.heatmap)
    assert (out / "scene.panel.png").exists()


def test_the_overlap_is_an_eighth_if_nothing_is_said(graph: Path, scene: Path, tmp_path: Path) -> None:
    done = camgraph("explain", scene, "--graph", graph, "-o", tmp_path / "out", "--tile", 32)
    assert done.exit_code == 0, done.output
    expected = SceneExplainer(Explainer(graph), tile=32, overlap=4).explain(scene)
    assert expected.warnings[0] in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tile", 32, "--overlap", 17], "overlap by 0 to 16 pixels, not by 17"),
        (["--overlap", 4], "give their side with --tile"),
        (["--tile", 4], "must have 8 at least"),
        (["--tile", 32, "--method", "guided-grad-cam"], "A scene has one heatmap"),
    ],
)
def test_what_does_not_go_with_windows_is_said(
    options: list[object], said: str, graph: Path, scene: Path, tmp_path: Path
) -> None:
    result = camgraph("explain", scene, "--graph", graph, "-o", tmp_path / "out", *options)
    assert said in complaint(result, exit_code=2)


def test_windows_are_for_this_process(scene: Path, tmp_path: Path) -> None:
    result = camgraph("explain", scene, "--server", "127.0.0.1:1", "-o", tmp_path / "out", "--tile", 32)
    assert "--tile goes with --graph" in complaint(result, exit_code=2)


@pytest.mark.parametrize("tile", [(), ("--tile", 32)])
def test_overlays_and_maps_lie_where_the_scene_lies(tile: tuple[object, ...], graph: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(0).random((60, 90, 4)).astype(np.float32)
    image[:10] = np.nan
    (tmp_path / "scene.tif").write_bytes(tiff(image, tags=GEO_TAGS))
    out = tmp_path / "out"
    done = camgraph("explain", tmp_path / "scene.tif", "--graph", graph, "-o", out, "--maps", "tif", *tile)
    assert done.exit_code == 0, done.output
    [overlay], [world] = out.glob("scene.1-*[0-9].png"), out.glob("*.pgw")
    assert world == overlay.with_suffix(".pgw")
    assert world.read_text(encoding="ascii").split() == ["10", "0", "0", "-10", "600005", "5699995"]
    [path] = out.glob("*.map.tif")
    with tifffile.TiffFile(path) as file:
        assert file.geotiff_metadata is not None
        assert file.geotiff_metadata["ModelTiepoint"] == [0.0, 0.0, 0.0, 600_000.0, 5_700_000.0, 0.0]
        assert file.geotiff_metadata["ProjectedCSTypeGeoKey"] == 32632
        values = file.asarray()
    assert np.isnan(values[:10]).all()
    assert np.isfinite(values[10:]).all()


def test_a_smaller_overlay_has_larger_pixels(graph: Path, scene: Path, tmp_path: Path) -> None:
    scene.with_suffix(".tfw").write_text("10\n0\n0\n-10\n600005\n5699995\n", encoding="ascii")
    done = camgraph("explain", scene, "--graph", graph, "-o", tmp_path / "out", "--max-side", 45)
    assert done.exit_code == 0, done.output
    [world] = (tmp_path / "out").glob("*.pgw")
    assert world.read_text(encoding="ascii").split() == ["20", "0", "0", "-20", "600010", "5699990"]
