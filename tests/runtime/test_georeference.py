"""Where images lie on the ground, and their maps with them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from camgraph_core.errors import InvalidInputError
from camgraph_runtime.pictures.geotiff import write_geotiff
from camgraph_runtime.preprocess import georeference
from camgraph_runtime.preprocess.georeference import Georeference, read_georeference
from camgraph_runtime.preprocess.opening import Encoded, open_image
from camgraph_runtime.preprocess.pixels import read_colour
from support.rasters import GEO_TAGS, tiff

IMAGE = np.zeros((20, 30, 4), np.uint16)
TRANSFORM = (10.0, 0.0, 600_000.0, 0.0, -10.0, 5_700_000.0)
POINT = (34735, "H", 8, (1, 1, 0, 1, 1025, 0, 1, 2), True)
# What EXIF's orientations undo.
UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).T,
    8: np.rot90,
}
TURNED = (5.0, 2.0, 1000.0, 2.0, -5.0, 3000.0)


def written(path: Path, *tags: Any, **options: Any) -> Path:
    path.write_bytes(tiff(IMAGE, tags=tags, **options))
    return path


def meta(path: Path) -> dict[str, Any]:
    with tifffile.TiffFile(path) as file:
        return file.geotiff_metadata or {}


@pytest.mark.parametrize("options", [{}, {"byteorder": ">"}, {"bigtiff": True}])
def test_a_geotiff_says_where_it_lies(options: dict[str, Any], tmp_path: Path) -> None:
    found = read_georeference(written(tmp_path / "scene.tif", *GEO_TAGS, **options))
    assert found is not None
    assert found.transform == TRANSFORM
    assert found.keys is not None
    assert found.keys.tolist() == list(GEO_TAGS[2][3])


def test_a_point_is_the_middle_of_its_pixel(tmp_path: Path) -> None:
    found = read_georeference(written(tmp_path / "scene.tif", *GEO_TAGS[:2], POINT))
    assert found is not None
    assert found.transform == (10.0, 0.0, 599_995.0, 0.0, -10.0, 5_700_005.0)
    assert found.keys is not None
    assert found.keys.tolist() == [1, 1, 0, 1, 1025, 0, 1, 1]


def test_a_matrix_may_turn_the_image(tmp_path: Path) -> None:
    a, b, c, d, e, f = TURNED
    matrix = (a, b, 0, c, d, e, 0, f, 0, 0, 0, 0, 0, 0, 0, 1)
    found = read_georeference(written(tmp_path / "scene.tif", (34264, "d", 16, tuple(map(float, matrix)), True)))
    assert found is not None
    assert found.transform == TURNED
    write_geotiff(tmp_path / "map.tif", np.zeros((20, 30), np.float32), found)
    again = read_georeference(tmp_path / "map.tif")
    assert again is not None
    assert again.transform == TURNED


@pytest.mark.parametrize(
    ("image", "name"), [("a.png", "a.pgw"), ("a.JPG", "a.jgw"), ("a.tif", "a.tfw"), ("a.tif", "a.tifw")]
)
def test_a_world_file_lies_beside_the_image(image: str, name: str, tmp_path: Path) -> None:
    if image.endswith("tif"):
        written(tmp_path / image)
    else:
        Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / image)
    assert read_georeference(tmp_path / image) is None
    (tmp_path / name).write_text("10\n0\n0\n-10\n600005\n5699995\n", encoding="ascii")
    found = read_georeference(tmp_path / image)
    assert found == Georeference(TRANSFORM)
    assert found.world_file().split() == ["10", "0", "0", "-10", "600005", "5699995"]


def test_an_array_with_a_world_file_is_not_read_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be a scene that is larger than memory."""
    np.save(tmp_path / "a.npy", np.zeros((20, 30), np.float32))
    (tmp_path / "a.wld").write_text("10\n0\n0\n-10\n600005\n5699995\n", encoding="ascii")
    monkeypatch.setattr(georeference, "open_image", None)
    assert read_georeference(tmp_path / "a.npy") == Georeference(TRANSFORM)


@pytest.mark.parametrize("text", ["", "1 2 3", "a b c d e f", "0 0 0 0 1 1", "nan 0 0 1 1 1", "1\n" * 1000])
def test_a_world_file_that_cannot_be_used_says_nothing(text: str, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.pgw").write_text(text, encoding="ascii")
    assert read_georeference(tmp_path / "a.png") is None


def test_a_file_that_has_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"gone\.png cannot be read: No such file"):
        read_georeference(tmp_path / "gone.png")


def test_a_map_lies_where_its_image_lies(tmp_path: Path) -> None:
    """Also if it is smaller, and where data is missing it has none."""
    found = read_georeference(written(tmp_path / "scene.tif", *GEO_TAGS))
    assert found is not None
    heatmap = np.linspace(0, 1, 150, dtype=np.float32).reshape(10, 15)
    missing = heatmap > 0.9
    write_geotiff(tmp_path / "map.tif", heatmap, found.scaled((20, 30), (10, 15)), missing)
    values = tifffile.imread(tmp_path / "map.tif")
    np.testing.assert_array_equal(np.isnan(values), missing)
    np.testing.assert_array_equal(values[~missing], heatmap[~missing])
    said, expected = meta(tmp_path / "map.tif"), meta(tmp_path / "scene.tif")
    assert said["ModelPixelScale"] == [20.0, 20.0, 0.0]
    assert said["ModelTiepoint"] == [0.0, 0.0, 0.0, 600_000.0, 5_700_000.0, 0.0]
    assert said["ProjectedCSTypeGeoKey"] == expected["ProjectedCSTypeGeoKey"]
    with tifffile.TiffFile(tmp_path / "map.tif") as file:
        assert file.pages[0].nodata is not None


def mapped(transform: tuple[float, ...], column: float, row: float) -> tuple[float, float]:
    a, b, c, d, e, f = transform
    return a * column + b * row + c, d * column + e * row + f


@pytest.mark.parametrize("form", ["geotiff", "matrix", "point", "world file beside a TIFF", "world file beside a JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_of_a_turned_image_every_pixel_lies_where_it_was_stored(orientation: int, form: str, tmp_path: Path) -> None:
    """Each pixel has a value of its own, by which it is found again in the upright image."""
    stored = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    tag = (274, "H", 1, orientation, True)
    a, b, c, d, e, f = TURNED
    matrix = (34264, "d", 16, tuple(map(float, (a, b, 0, c, d, e, 0, f, 0, 0, 0, 0, 0, 0, 0, 1))), True)
    lies, tags = {
        "geotiff": (TRANSFORM, GEO_TAGS),
        "matrix": (TURNED, (matrix,)),
        "point": ((10.0, 0.0, 599_995.0, 0.0, -10.0, 5_700_005.0), (*GEO_TAGS[:2], POINT)),
    }.get(form, (TRANSFORM, ()))
    path = tmp_path / "scene.tif"
    path.write_bytes(tiff(stored, tags=(*tags, tag)))
    if form.startswith("world file"):
        (tmp_path / "scene.wld").write_text("10\n0\n0\n-10\n600005\n5699995\n", encoding="ascii")
    if form.endswith("JPEG"):
        path.unlink()
        path = tmp_path / "scene.jpg"
        exif = Image.Exif()
        exif[274] = orientation
        Image.fromarray(stored.repeat(8, axis=0).repeat(8, axis=1)).save(path, quality=100, exif=exif)
        lies = (10 / 8, 0.0, 600_000.0, 0.0, -10 / 8, 5_700_000.0)
        (tmp_path / "scene.wld").write_text("1.25\n0\n0\n-1.25\n600000.625\n5699999.375\n", encoding="ascii")
    scale = 8 if form.endswith("JPEG") else 1
    upright = UPRIGHT[orientation](stored).astype(int).repeat(scale, axis=0).repeat(scale, axis=1)
    opened = open_image(path, max_pixels=10_000)
    assert isinstance(opened, Encoded)
    assert opened.possible_sizes == (upright.shape,)
    np.testing.assert_allclose(read_colour(opened)[:, :, 0], upright, atol=3)
    found = read_georeference(path)
    assert found is not None
    for row, column in np.ndindex(*stored.shape):
        [place] = np.argwhere(upright[::scale, ::scale] == stored[row, column])
        there = mapped(found.transform, (place[1] + 0.5) * scale, (place[0] + 0.5) * scale)
        assert there == pytest.approx(mapped(lies, (column + 0.5) * scale, (row + 0.5) * scale), abs=1e-6)
    # What is written is read again as the same, by tifffile too: the corners of the map are those of the scene.
    height, width = upright.shape[:2]
    write_geotiff(tmp_path / "map.tif", np.zeros((height, width), np.float32), found)
    again = read_georeference(tmp_path / "map.tif")
    assert again is not None
    there_and_here = [
        sorted(mapped(transform, *corner) for corner in ((0, 0), (across, 0), (0, down), (across, down)))
        for transform, (down, across) in ((again.transform, (height, width)), (lies, np.multiply(stored.shape, scale)))
    ]
    np.testing.assert_allclose(*there_and_here, atol=1e-6)


@pytest.mark.parametrize("seed", range(60))
def test_spoiled_tags_say_nothing_or_end_in_a_sentence(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(tiff(IMAGE, tags=GEO_TAGS))
    start = struct.unpack_from("<I", data, 4)[0]
    for place in rng.integers(start, min(start + 260, len(data)), 4):
        data[place] = rng.integers(256)
    (tmp_path / "scene.tif").write_bytes(data)
    try:
        found = read_georeference(tmp_path / "scene.tif")
    except InvalidInputError:
        return
    assert found is None or np.isfinite(found.transform).all()
