"""Overlays from tables, a few rows at a time, against the plain definition over whole arrays."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from camgraph_core import tiles
from camgraph_core.errors import InvalidInputError
from camgraph_core.style import COLORMAPS
from camgraph_runtime.pictures import blend
from camgraph_runtime.pictures.overlay import colorize, heatmap_to_gray, overlay
from support.plain_overlay import plain_colours, plain_grey, plain_overlay

Photo = NDArray[np.uint8]
Heatmap = NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """A photo and a heatmap, how they are drawn, and how many pixels a tile has."""

    photo: Photo
    heatmap: Heatmap
    colormap: str
    image_weight: float
    pixels: int


# How a photo may lie in memory: channels turned (as OpenCV gives them), columns first, mirrored, one channel repeated.
ORDERS: dict[str, Callable[[Photo], Photo]] = {
    "rgb": lambda photo: photo,
    "bgr": lambda photo: photo[:, :, ::-1],
    "columns first": np.asfortranarray,
    "mirrored": lambda photo: photo[:, ::-1],
    "grey": lambda photo: np.broadcast_to(photo[:, :, :1], photo.shape),
}


@st.composite
def cases(draw: st.DrawFn) -> Case:
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    darkest, brightest = sorted(draw(st.tuples(st.integers(0, 255), st.integers(0, 255))))
    photo = rng.integers(darkest, brightest + 1, (height, width, 3)).astype(np.uint8)
    heatmap = rng.random((height, width), np.float32) * np.float32(draw(st.floats(0, 1)))
    heatmap[rng.random((height, width)) < draw(st.sampled_from([0, 0, 0.1, 1]))] = np.nan
    return Case(
        ORDERS[draw(st.sampled_from([*ORDERS]))](photo),
        heatmap,
        draw(st.sampled_from([*COLORMAPS])),
        draw(st.sampled_from([0.5, 0.0, 1.0, 0.25, 1 / 3]) | st.floats(0, 1)),
        draw(st.sampled_from([1, 7, 64, 1 << 15])),
    )


@given(cases())
@settings(max_examples=300)
def test_pictures_in_tiles_are_those_of_the_plain_definition(case: Case) -> None:
    with mock.patch.object(tiles, "_PIXELS", case.pixels):
        drawn = overlay(case.photo, case.heatmap, colormap=case.colormap, image_weight=case.image_weight)
        colours, grey = colorize(case.heatmap, case.colormap), heatmap_to_gray(case.heatmap)
    wanted = plain_overlay(case.photo, case.heatmap, case.colormap, case.image_weight)
    np.testing.assert_array_equal(drawn, wanted)
    np.testing.assert_array_equal(colours, plain_colours(case.heatmap, case.colormap))
    np.testing.assert_array_equal(grey, plain_grey(case.heatmap))


@pytest.mark.parametrize("colormap", COLORMAPS)
@pytest.mark.parametrize("weight", [0.5, 0.3])
def test_every_pair_of_bytes_is_exact_at_every_brightness(colormap: str, weight: float) -> None:
    """All levels against all bytes of a photo that is as bright as it may be; a brighter one divides by another mix."""
    heatmap = np.repeat(np.arange(256, dtype=np.float32)[:, None] / np.float32(255), 256, axis=1)
    for brightest in (255, 254, 201, 128, 77, 5, 0):
        row = np.minimum(np.arange(256), brightest).astype(np.uint8)
        photo = np.stack([np.tile(np.roll(row, shift), (256, 1)) for shift in (0, 85, 170)], axis=2)
        drawn = overlay(photo, heatmap, colormap=colormap, image_weight=weight)
        np.testing.assert_array_equal(drawn, plain_overlay(photo, heatmap, colormap, weight))


@pytest.mark.parametrize("shape", [(2, 90_000), (90_000, 2), (1, 1)])
def test_long_and_thin_photos_are_cut_both_ways(shape: tuple[int, int]) -> None:
    height, width = shape
    assert all(
        (tile[0].stop - tile[0].start) * (tile[1].stop - tile[1].start) <= 1 << 15 for tile in tiles.tiles(*shape)
    )
    rng = np.random.default_rng(5)
    photo, heatmap = rng.integers(0, 256, (height, width, 3), np.uint8), rng.random(shape, np.float32)
    np.testing.assert_array_equal(overlay(photo, heatmap), plain_overlay(photo, heatmap))


def test_a_sum_of_bytes_does_not_decide() -> None:
    """Why the table is one of pairs: at equal weights, mixes of equal sums differ in float32."""
    mixes = blend.mixes_of_bytes(0.5)
    turned = mixes[::-1]  # sums of the bytes are equal along its diagonals
    assert any(len(np.unique(np.diagonal(turned, offset))) > 1 for offset in range(-255, 256))


def test_the_brightest_pixel_may_lie_in_the_last_tile() -> None:
    photo = np.full((64, 8, 3), 10, np.uint8)
    heatmap = np.zeros((64, 8), np.float32)
    photo[-1, -1] = 200
    with mock.patch.object(tiles, "_PIXELS", 8):
        drawn = overlay(photo, heatmap)
    np.testing.assert_array_equal(drawn, plain_overlay(photo, heatmap))
    assert drawn[0, 0, 0] < 20


@pytest.mark.parametrize("row", [0, -1])
@pytest.mark.parametrize("value", [-1e-3, 1.001, np.inf, -np.inf])
def test_one_value_out_of_range_is_refused_in_any_tile(row: int, value: float) -> None:
    heatmap = np.full((64, 8), 0.5, np.float32)
    heatmap[row, 3], heatmap[row, 4] = value, np.nan
    with mock.patch.object(tiles, "_PIXELS", 8), pytest.raises(InvalidInputError, match=r"values in 0\.\.1"):
        overlay(np.zeros((64, 8, 3), np.uint8), heatmap)


@pytest.mark.parametrize(
    ("draw", "bytes_per_pixel"),
    [(overlay, 4), (lambda _, heatmap: colorize(heatmap), 4), (lambda _, heatmap: heatmap_to_gray(heatmap), 1)],
    ids=["overlay", "colours", "grey"],
)
def test_a_picture_takes_little_more_than_itself(draw: Callable[[Photo, Heatmap], Photo], bytes_per_pixel: int) -> None:
    height, width = 1500, 2000
    photo, heatmap = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.float32)
    draw(photo[:64], heatmap[:64])  # tables and buffers that stay
    tracemalloc.start()
    try:
        draw(photo, heatmap)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert bytes_per_pixel <= peak / (height * width) < bytes_per_pixel + 1
