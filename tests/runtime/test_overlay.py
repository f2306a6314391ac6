"""Overlays, colour maps, encodings and panels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageFont

from camgraph_core.errors import AbsentOutputError, InvalidInputError, UsageError
from camgraph_core.png import encode_png
from camgraph_core.style import COLORMAPS
from camgraph_runtime import Explainer
from camgraph_runtime.pictures.jpeg import encode_jpeg
from camgraph_runtime.pictures.lettering import shorten
from camgraph_runtime.pictures.overlay import colorize, heatmap_to_gray, overlay
from camgraph_runtime.pictures.panel import Tile, note_lines, panel
from support.tiny_graph import TinyGraph

PHOTO = np.random.default_rng(4).integers(0, 256, (20, 30, 3), np.uint8)
HEATMAP = np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30)


def test_jet_runs_from_blue_to_red() -> None:
    colours = colorize(np.array([[0, 0.5, 1]], np.float32))[0]
    assert colours[0].argmax() == 2
    assert colours[1].argmax() == 1
    assert colours[2].argmax() == 0


@pytest.mark.parametrize("name", COLORMAPS)
def test_every_colour_map_has_many_colours(name: str) -> None:
    assert len(np.unique(colorize(HEATMAP, name).reshape(-1, 3), axis=0)) > 200


def test_the_weight_moves_between_colours_and_photo() -> None:
    only_colours = overlay(PHOTO, HEATMAP, image_weight=0)
    np.testing.assert_array_equal(only_colours, colorize(HEATMAP))
    only_photo = overlay(PHOTO, HEATMAP, image_weight=1)
    scaled = (np.float32(255) * (PHOTO / np.float32(255) / (PHOTO.max() / np.float32(255)))).astype(np.uint8)
    np.testing.assert_array_equal(only_photo, scaled)


def test_a_black_photo_stays_black() -> None:
    black = np.zeros_like(PHOTO)
    np.testing.assert_array_equal(overlay(black, HEATMAP, image_weight=1), black)


def test_cells_that_are_not_a_number_are_drawn_as_zero() -> None:
    broken = HEATMAP.copy()
    broken[3, 4] = np.nan
    np.testing.assert_array_equal(colorize(broken)[3, 4], colorize(np.zeros((1, 1), np.float32))[0, 0])
    assert heatmap_to_gray(broken)[3, 4] == 0


def test_png_keeps_every_pixel_and_jpeg_about() -> None:
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode_png(PHOTO)))), PHOTO)
    grey = heatmap_to_gray(HEATMAP)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode_png(grey)))), grey)
    smooth = overlay(np.full_like(PHOTO, 128), HEATMAP)
    decoded = np.asarray(Image.open(io.BytesIO(encode_jpeg(smooth, 95))))
    assert np.abs(decoded.astype(int) - smooth).mean() < 6
    assert len(encode_jpeg(PHOTO, 20)) < len(encode_jpeg(PHOTO, 95))


def test_grey_levels_are_rounded() -> None:
    assert heatmap_to_gray(np.array([[0, 0.5, 0.999, 1]], np.float32)).tolist() == [[0, 128, 255, 255]]


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_weights_out_of_range_are_refused(weight: float) -> None:
    with pytest.raises(UsageError, match="image weight"):
        overlay(PHOTO, HEATMAP, image_weight=weight)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="There are jet"):
        colorize(HEATMAP, "rainbow")
    with pytest.raises(InvalidInputError, match="wants uint8"):
        overlay(PHOTO[:10], HEATMAP)
    with pytest.raises(InvalidInputError, match="raw maps have to be scaled"):
        colorize(HEATMAP - 1)
    with pytest.raises(UsageError, match="JPEG quality"):
        encode_jpeg(PHOTO, 0)


def test_a_panel_holds_every_tile_and_a_bar() -> None:
    red, green = (np.full((40, 60, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 255, 0)))
    picture = panel([Tile(red, "red"), Tile(green, "green", "1.0")])
    assert picture.dtype == np.uint8
    assert picture[0, 0].tolist() == [255, 255, 255]
    for colour in ((255, 0, 0), (0, 255, 0)):
        assert np.count_nonzero((picture == colour).all(axis=2)) > 100_000
    right = picture[:, -64:]
    assert len(np.unique(right.reshape(-1, 3), axis=0)) > 200


def test_a_fifth_tile_starts_a_second_row() -> None:
    tiles = [Tile(PHOTO, str(number)) for number in range(5)]
    four, five = panel(tiles[:4]), panel(tiles)
    assert five.shape[1] == four.shape[1]
    assert five.shape[0] > 1.8 * four.shape[0]


@pytest.mark.parametrize("shape", [(1, 3000, 3), (3000, 1, 3), (1, 1, 3), (600, 800, 3)])
def test_pictures_of_any_shape_fit(shape: tuple[int, int, int]) -> None:
    picture = panel([Tile(np.zeros(shape, np.uint8), "x" * 500, "y" * 500)])
    assert picture.shape[0] < 500
    assert picture.shape[1] < 800


def test_titles_are_shortened_to_the_width() -> None:
    font = ImageFont.load_default(19)
    assert shorten("tabby", font, 200) == "tabby"
    short = shorten("tiger cat, " * 30, font, 200)
    assert short.endswith("…")
    assert 150 < font.getlength(short) <= 200


NOTE = "9.3% of the area  ·  mean 99.1%  ·  score 123456.00  ·  largest 0.00123"


@pytest.mark.parametrize("width", [130, 200, 320, 560])
def test_no_fact_of_a_note_is_lost(width: int) -> None:
    font = ImageFont.load_default(14)
    lines = note_lines(NOTE, font, width)
    assert "  ·  ".join(lines) == NOTE
    assert all(font.getlength(line) <= width for line in lines)


def test_a_long_note_moves_the_picture_down() -> None:
    red = np.full((320, 200, 3), (255, 0, 0), np.uint8)
    short, long = panel([Tile(red, "red", "largest 1")]), panel([Tile(red, "red", NOTE)])
    below = long.shape[0] - short.shape[0]
    assert below > 0
    np.testing.assert_array_equal(short[80:], long[80 + below :])  # after the margin and a note of one line


def test_panels_refuse_nothing_and_no_photo() -> None:
    with pytest.raises(ValueError, match="needs a tile"):
        panel([])
    bare = Explainer(TinyGraph().serialize()).explain(tensor=np.zeros((1, 3, 16, 16), np.float32))
    with pytest.raises(AbsentOutputError, match="needs the photo"):
        bare.panel()
