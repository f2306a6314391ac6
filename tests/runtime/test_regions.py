"""Hot regions: the same cells as OpenCV finds, where they lie on the photo, and how much of the heat they hold."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from camgraph_core.frame import Axis, Frame
from camgraph_core.rectangle import Rectangle
from camgraph_core.regions import MOST_REGIONS, HotRegion, hot_regions

SHAPES = [(1, 1), (1, 9), (9, 1), (7, 5), (64, 48), (120, 200)]


def heat(shape: tuple[int, int], *, seed: int, blur: float) -> np.ndarray:
    """Noise in 0..1, smooth where `blur` is large."""
    noise = np.random.default_rng(seed).random(shape).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), blur) if blur else noise
    spread = np.ptp(smooth)
    return (smooth - smooth.min()) / spread if spread else smooth


def by_opencv(cells: np.ndarray, threshold: float) -> list[HotRegion]:
    """All regions of a map that is the photo itself."""
    hot = (cells >= threshold).astype(np.uint8)
    _, labels, sides, _ = cv2.connectedComponentsWithStats(hot, connectivity=8)
    found = []
    for number, (left, top, width, height, count) in enumerate(sides.tolist()[1:], start=1):
        inside = cells[labels == number].astype(np.float64)
        box = Rectangle(left, top, left + width, top + height)
        share = inside.sum() / cells.sum(dtype=np.float64)
        found.append(HotRegion(box, count / cells.size, inside.mean(), inside.max(), share))
    return sorted(found, key=lambda region: -region.energy)[:MOST_REGIONS]


@pytest.mark.parametrize("blur", [0, 1, 4])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_regions_are_those_of_opencv(shape: tuple[int, int], blur: float) -> None:
    for seed, threshold in ((1, 0.5), (2, 0.8), (3, 1.0)):
        cells = heat(shape, seed=seed, blur=blur)
        found = hot_regions(cells, Frame.identity(*shape), threshold)
        wanted = by_opencv(cells, threshold)
        assert [(region.box, region.peak) for region in found] == [(region.box, region.peak) for region in wanted]
        for name in ("area", "mean", "energy"):
            np.testing.assert_allclose([getattr(r, name) for r in found], [getattr(r, name) for r in wanted], 1e-6)


def test_a_snake_is_one_region() -> None:
    cells = np.zeros((9, 9), np.float32)
    cells[::2] = 1
    cells[1::4, -1] = cells[3::4, 0] = 1
    [region] = hot_regions(cells, Frame.identity(9, 9), 0.5)
    assert region.box == Rectangle(0, 0, 9, 9)
    assert region.area == np.count_nonzero(cells) / 81


def test_corners_connect() -> None:
    [region] = hot_regions(np.eye(5, dtype=np.float32), Frame.identity(5, 5), 0.5)
    assert (region.area, region.energy, region.mean) == (5 / 25, 1, 1)


def test_an_empty_map_has_none() -> None:
    assert hot_regions(np.zeros((4, 4), np.float32), Frame.identity(4, 4), 0.5) == ()
    assert hot_regions(np.full((4, 4), np.nan, np.float32), Frame.identity(4, 4), 0.5) == ()


def test_a_cell_that_is_not_a_number_holds_no_heat() -> None:
    [region] = hot_regions(np.array([[np.nan, 0.25], [0, 0.75]], np.float32), Frame.identity(2, 2), 0.5)
    assert (region.box, region.energy) == (Rectangle(1, 1, 2, 2), 0.75)


def test_no_region_is_larger_than_the_photo() -> None:
    """The last of three cells, each 3.8 pixels wide, reaches beyond the ten pixels of the photo."""
    frame = Frame(Axis(10, 3, 0.26), Axis(10, 3, 0.26))
    [region] = hot_regions(np.ones((3, 3), np.float32), frame, 0.5)
    assert (region.box, region.area) == (Rectangle(0, 0, 10, 10), 1)


def test_boxes_lie_on_the_photo() -> None:
    """A photo of 200 x 100 pixels in the middle of an input of 40 x 40: a letterbox with 10 rows above and below."""
    frame = Frame(Axis(100, 40, 0.2, 10), Axis(200, 40, 0.2, 0))
    cells = np.zeros((40, 40), np.float32)
    cells[15:20, 30:36] = 0.75
    cells[:5] = 1  # on the padding
    [region] = hot_regions(cells, frame, 0.5)
    assert region.box == Rectangle(150, 25, 180, 50)
    assert region.area == pytest.approx(30 * 25 / (200 * 100))
    assert (region.mean, region.peak, region.energy) == (0.75, 0.75, 1)


def test_what_a_crop_leaves_out_counts_for_the_picture() -> None:
    frame = Frame(Axis(100, 50, 1, -25), Axis(100, 50, 1, -25))
    [region] = hot_regions(np.ones((50, 50), np.float32), frame, 0.5)
    assert region.box == Rectangle(25, 25, 75, 75)
    assert region.area == 0.25


def test_a_box_ends_at_the_photos_edge() -> None:
    frame = Frame(Axis(7, 10, 10 / 7, 0), Axis(7, 12, 10 / 7, 1))
    [region] = hot_regions(np.ones((10, 12), np.float32), frame, 0.5)
    assert region.box == Rectangle(0, 0, 7, 7)
    assert region.area == 1
