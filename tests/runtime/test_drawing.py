"""Pictures of a result at the size that is asked for, and what they cost."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import AbsentOutputError, InvalidInputError, UsageError
from camgraph_core.frame import Axis, Frame, fitted, of_shrunk_photo
from camgraph_core.guided_picture import guided_picture
from camgraph_core.laid import LaidMap
from camgraph_core.png import encode_png
from camgraph_core.scaled import Area, Span
from camgraph_runtime import Explainer, Result, Threads
from camgraph_runtime.pictures.jpeg import encode_jpeg
from camgraph_runtime.pictures.overlay import heatmap_to_gray
from camgraph_runtime.pictures.panel import result_panel
from camgraph_runtime.pictures.shrink import shrunk
from support.plain_overlay import plain_overlay
from support.tiny_graph import TinyGraph

HEIGHT, WIDTH = 1500, 2000
ALL = (slice(None), slice(None))
STRETCH = pb.GeometryStep(resize_to=pb.ResizeTo(height=16, width=16))


def explained(
    height: int, width: int, method: str | None = None, top_k: int = 2, max_side: int | None = None
) -> Result:
    photo = np.random.default_rng(2).integers(0, 256, (height, width, 3), np.uint8)
    return Explainer(TinyGraph(steps=[STRETCH]).serialize(), threads=Threads(1)).explain(
        photo, method=method, top_k=top_k, max_side=max_side
    )


@given(st.integers(1, 5000), st.integers(1, 5000), st.none() | st.integers(1, 6000))
def test_sizes_keep_their_proportions_and_never_grow(height: int, width: int, max_side: int | None) -> None:
    small = fitted((height, width), max_side)
    if max_side is None or max_side >= max(height, width):
        assert small == (height, width)
        return
    factor = max_side / max(height, width)
    assert max(small) == max_side
    assert abs(small[0] - max(1, height * factor)) <= 0.5
    assert abs(small[1] - max(1, width * factor)) <= 0.5


def test_a_shrunk_photo_has_the_means_of_its_areas() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
    means = photo.reshape(6, 2, 10, 2, 3).mean(axis=(1, 3))
    assert np.abs(shrunk(photo, (6, 10)) - means).max() <= 0.5
    assert shrunk(photo, (12, 20)) is photo


@given(st.integers(2, 40), st.integers(1, 20), st.integers(0, 7), st.integers(0, 7))
def test_a_shrunk_area_has_its_means(have: int, want: int, before: int, after: int) -> None:
    """Against sums over sixteenths of a pixel, on one axis of the photo."""
    photo = np.random.default_rng(have).integers(0, 256, (have, 1, 3), np.uint8)
    span = Span(before / 16, have - (before + after) / 16)
    want = min(want, int(span.length))
    fine = np.repeat(photo[:, 0].astype(float), 16 * want, axis=0)[before * want : (have * 16 - after) * want]
    means = fine.reshape(want, -1, 3).mean(axis=1)
    assert np.abs(shrunk(photo, (want, 1), Area(span, Span(0, 1)))[:, 0] - means).max() <= 0.5 + 1e-4


@given(st.integers(2, 60), st.integers(1, 40), st.integers(1, 60), st.integers(-20, 20), st.integers(1, 60))
def test_a_small_map_is_the_map_at_the_middles_of_its_pixels(
    photo: int, small: int, resized: int, start: int, network: int
) -> None:
    """Against NumPy's own interpolation between the middles of cells, on one axis of the photo."""
    axis = Axis(photo, photo).resized(resized).placed(start, network)
    small = min(small, photo)
    frame = of_shrunk_photo(Frame(axis, Axis(1, 1)), (small, 1))
    cells = np.random.default_rng(network).random((network, 1), np.float32)
    middles = (np.arange(small) + 0.5) * photo / small * resized / photo - start
    wanted = np.interp(middles, np.arange(network) + 0.5, cells[:, 0])
    edges = np.minimum(np.abs(middles), np.abs(middles - network)) < 1e-9  # where rounding decides what is seen
    wanted[(middles < 0) | (middles >= network)] = 0
    laid = LaidMap(cells, frame).whole()[:, 0]
    np.testing.assert_allclose(laid[~edges], wanted[~edges], rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", [None, "guided-grad-cam"])
def test_pictures_of_the_photos_size_are_those_of_whole_arrays(method: str | None) -> None:
    result = explained(60, 90, method)
    for explanation in result.explanations:
        assert result.photo is not None
        drawn = explanation.overlay(colormap="turbo", image_weight=0.4)
        np.testing.assert_array_equal(drawn, plain_overlay(result.photo, explanation.heatmap, "turbo", 0.4))
        assert hasattr(explanation, "guided") == (method is not None)
        if method is not None:
            wanted = guided_picture(explanation.guided, explanation.frame)
            np.testing.assert_array_equal(explanation.guided_picture(), wanted)


@pytest.mark.parametrize("max_side", [1, 33, 60])
def test_small_pictures_are_drawn_from_the_small_photo_and_map(max_side: int) -> None:
    result = explained(60, 90, "guided-grad-cam")
    asked = explained(60, 90, "guided-grad-cam", max_side=max_side)
    size = fitted((60, 90), max_side)
    for explanation, at_once in zip(result.explanations, asked.explanations, strict=True):
        assert result.photo is not None
        small = LaidMap(explanation.input_heatmap, of_shrunk_photo(explanation.frame, size)).whole()
        wanted = plain_overlay(shrunk(result.photo, size), small)
        np.testing.assert_array_equal(explanation.overlay(max_side=max_side), wanted)
        np.testing.assert_array_equal(at_once.overlay(), wanted)
        np.testing.assert_array_equal(at_once.heatmap, small)
        assert at_once.overlay_png == encode_png(wanted)
        assert at_once.overlay_jpeg == encode_jpeg(wanted)
        assert at_once.heatmap_png == encode_png(heatmap_to_gray(small))
        for picture in (explanation.guided_picture(max_side=max_side), at_once.guided_picture()):
            assert picture.shape == (*size, 3)
        assert at_once.guided_png == encode_png(at_once.guided_picture())


def test_a_heatmap_is_as_small_as_it_is_wanted() -> None:
    explanation = explained(60, 90).explanations[0]
    small = explanation.heatmap_within(45)
    np.testing.assert_array_equal(small, explanation.tiled_heatmap((30, 45))[ALL])
    assert small.shape == (30, 45)
    np.testing.assert_array_equal(explanation.heatmap_within(1000), explanation.heatmap)


def test_what_cannot_be_drawn_is_refused() -> None:
    explainer = Explainer(TinyGraph(steps=[STRETCH]).serialize(), threads=Threads(1))
    [bare] = explainer.explain(tensor=np.zeros((1, 3, 16, 16), np.float32)).explanations
    with pytest.raises(AbsentOutputError, match="needs a photo"):
        bare.overlay()
    assert not hasattr(bare, "overlay_png")
    with pytest.raises(UsageError, match="at least"):
        explained(20, 20).explanations[0].overlay(max_side=0)
    photo = np.zeros((20, 20, 3), np.uint8)
    [raw] = explainer.explain(photo, profile="raw").explanations
    with pytest.raises(InvalidInputError, match="The profile raw gives signed values"):
        raw.overlay()
    assert not hasattr(raw, "overlay_jpeg")


def test_an_overlay_is_saved_as_the_file_is_called(tmp_path: Path) -> None:
    [explanation] = explained(20, 30, top_k=1).explanations
    explanation.save(tmp_path / "a.png", colormap="viridis", max_side=10)
    explanation.save(tmp_path / "b.JPG")
    saved = (tmp_path / "a.png").read_bytes()
    assert saved == encode_png(explanation.overlay(colormap="viridis", max_side=10))
    assert (tmp_path / "b.JPG").read_bytes() == explanation.overlay_jpeg
    with pytest.raises(UsageError, match=r"neither a \.png nor a \.jpg"):
        explanation.save(tmp_path / "c.webp")


@pytest.mark.parametrize(("max_side", "most"), [(None, 8), (500, 1)])
def test_pictures_one_after_the_other_take_the_memory_of_two(max_side: int | None, most: int) -> None:
    """The loop holds one overlay of 3 bytes per pixel while the next is drawn; four of them would take 12."""
    result = explained(HEIGHT, WIDTH, top_k=4, max_side=max_side)
    assert bytes_per_pixel(lambda: [None for item in result.explanations if item.overlay() is None]) < most


def test_a_panel_of_many_large_overlays_computes_none_of_them_at_full_size() -> None:
    result = explained(HEIGHT, WIDTH, top_k=4)
    assert bytes_per_pixel(lambda: result_panel(result)) < 8  # five small tiles and the canvas


def bytes_per_pixel(run: Callable[[], object]) -> float:
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1] / (HEIGHT * WIDTH)
    finally:
        tracemalloc.stop()
