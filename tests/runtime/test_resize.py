"""The resize of maps and the colour maps are those of OpenCV, which the product does not need."""

from __future__ import annotations

import platform

import cv2
import numpy as np
import pytest

from camgraph_core.style import COLORMAPS
from camgraph_runtime.maps.resize import resize_map
from camgraph_runtime.pictures.colormaps import colours_of
from camgraph_runtime.pictures.shrink import shrunk
from support.plain_overlay import OPENCV_COLOURS

SIZES = 3000
# OpenCV takes other code on other CPUs.
on_x86 = pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="the definition is OpenCV's on x86")


def maps(rng: np.random.Generator, smallest: int) -> tuple[np.ndarray, tuple[int, int]]:
    """A map of values of any scale, with zeros as after ReLU, and a size to resize it to."""
    height, width = rng.integers(smallest, 60, 2)
    values = (rng.random((height, width)) - rng.choice([0, 0.3])) * 10.0 ** rng.integers(-9, 9)
    largest = rng.choice([40, 300, 700])
    down, across = rng.integers(1, largest, 2)
    return np.maximum(values, rng.choice([0, -1e30])).astype(np.float32), (int(down), int(across))


@on_x86
def test_the_resize_of_maps_has_the_bits_of_opencv() -> None:
    rng = np.random.default_rng(0)
    for _ in range(SIZES):
        cells, size = maps(rng, smallest=2)
        np.testing.assert_array_equal(resize_map(cells, size), cv2.resize(cells, size[::-1]), f"{cells.shape} {size}")


def test_maps_of_one_row_or_column_differ_from_opencv_by_rounding_alone() -> None:
    rng = np.random.default_rng(1)
    for number in range(300):
        cells, size = maps(rng, smallest=2)
        cells = cells[:1] if number % 2 else cells[:, :1]
        scale = max(float(np.abs(cells).max()), 1e-30)
        np.testing.assert_allclose(resize_map(cells, size), cv2.resize(cells, size[::-1]), rtol=0, atol=3e-6 * scale)


def test_a_resize_to_the_same_size_changes_nothing() -> None:
    cells = np.random.default_rng(2).random((9, 13), np.float32)
    np.testing.assert_array_equal(resize_map(cells, (9, 13)), cells)


@pytest.mark.parametrize("name", COLORMAPS)
def test_the_colours_are_those_of_opencv(name: str) -> None:
    steps = np.arange(256, dtype=np.uint8)[:, None]
    np.testing.assert_array_equal(colours_of(name), cv2.applyColorMap(steps, OPENCV_COLOURS[name])[:, 0, ::-1])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_shrunk_picture_is_that_of_opencv_but_for_halves(channels: int) -> None:
    """Both are means of areas in float32, added up in another order; a half may be rounded either way."""
    rng = np.random.default_rng(3)
    for _ in range(60):
        height, width = rng.integers(1, 200, 2)
        size = int(rng.integers(1, height + 1)), int(rng.integers(1, width + 1))
        photo = rng.integers(0, 256, (height, width, channels), np.uint8)
        wanted = cv2.resize(photo, size[::-1], interpolation=cv2.INTER_AREA).reshape(*size, channels)
        difference = np.abs(shrunk(photo, size).astype(int) - wanted)
        assert difference.max() <= 1
        assert np.count_nonzero(difference) <= max(4, 0.01 * difference.size)
