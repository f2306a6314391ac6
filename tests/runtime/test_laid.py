"""Maps laid onto the photo a tile at a time, against the plain way, over whole arrays."""

from __future__ import annotations

import tracemalloc
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core import tiles
from camgraph_core.frame import Axis, Frame
from camgraph_core.guided_picture import guided_picture
from camgraph_core.laid import LaidMap
from camgraph_core.request import Request
from camgraph_runtime import Explainer, Threads
from camgraph_runtime.pictures.overlay import heatmap_to_gray, overlay
from support.plain_overlay import plain_grey, plain_laid, plain_overlay
from support.tiny_graph import TinyGraph

STRETCH = pb.GeometryStep(resize_to=pb.ResizeTo(height=16, width=16))


@st.composite
def axes(draw: st.DrawFn) -> Axis:
    """A photo that is larger, smaller, cut or padded on the way to the network."""
    photo = draw(st.integers(1, 60))
    resized = Axis(photo, photo).resized(draw(st.integers(1, 60)))
    return resized.placed(draw(st.integers(-20, 20)), draw(st.integers(1, 60)))


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    return Frame(draw(axes()), draw(axes()))


@given(frames(), st.integers(0, 2**32 - 1), st.sampled_from([1, 7, 64, 1 << 15]))
@settings(max_examples=300)
def test_a_laid_map_is_that_of_whole_arrays(frame: Frame, seed: int, pixels: int) -> None:
    rng = np.random.default_rng(seed)
    cells = rng.random(frame.network_size, np.float32)
    photo = rng.integers(0, 256, (*frame.photo_size, 3), np.uint8)
    wanted = plain_laid(cells, frame)
    with mock.patch.object(tiles, "_PIXELS", pixels):
        laid = LaidMap(cells, frame)
        np.testing.assert_array_equal(laid.whole(), wanted)
        np.testing.assert_array_equal(overlay(photo, laid), plain_overlay(photo, wanted))
        np.testing.assert_array_equal(heatmap_to_gray(laid), plain_grey(wanted))
    assert laid.shape == wanted.shape


@given(frames(), st.integers(0, 2**32 - 1), st.sampled_from([1, 64, 1 << 15]))
@settings(max_examples=100)
def test_a_guided_picture_is_that_of_whole_arrays(frame: Frame, seed: int, pixels: int) -> None:
    guided = np.random.default_rng(seed).normal(size=(*frame.network_size, 3)).astype(np.float32)
    centred = guided - np.mean(guided)
    cut = np.clip(centred / (np.std(centred) + np.float32(1e-5)) * np.float32(0.1), np.float32(-0.5), np.float32(0.5))
    photo = np.stack([plain_laid(cut[:, :, channel], frame) for channel in range(3)], axis=2)
    wanted = ((photo + np.float32(0.5)) * np.float32(255)).astype(np.uint8)
    with mock.patch.object(tiles, "_PIXELS", pixels):
        np.testing.assert_array_equal(guided_picture(guided, frame), wanted)


def test_pixels_without_data_are_zero() -> None:
    """Of a mask of another size, each pixel takes the one that its middle lies on."""
    cells, frame = np.ones((2, 4), np.float32), Frame.identity(2, 4)
    own = np.array([[True, False, False, False], [False, False, False, True]])
    np.testing.assert_array_equal(LaidMap(cells, frame, own).whole(), ~own)
    larger = np.arange(4 * 8).reshape(4, 8) % 8 == 3
    np.testing.assert_array_equal(LaidMap(cells, frame, larger).whole(), [[1, 0, 1, 1]] * 2)
    smaller = np.array([[True, False]])
    np.testing.assert_array_equal(LaidMap(cells, frame, smaller).whole(), [[0, 0, 1, 1]] * 2)


def test_a_map_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="not \\(4, 4\\)"):
        LaidMap(np.zeros((4, 5), np.float32), Frame.identity(4, 4))


def test_an_overlay_of_a_laid_map_needs_no_map_of_the_photos_size() -> None:
    frame = Frame(Axis(1500, 1500).resized(224), Axis(2000, 2000).resized(224))
    cells = np.random.default_rng(0).random((224, 224), np.float32)
    photo = np.zeros((*frame.photo_size, 3), np.uint8)
    overlay(photo, LaidMap(cells, frame))  # tables that stay
    tracemalloc.start()
    try:
        overlay(photo, LaidMap(cells, frame))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / (1500 * 2000) < 5


def test_several_targets_do_not_multiply_the_memory() -> None:
    """From the run to the last overlay: one picture and its levels, whatever the number of classes."""
    photo = np.random.default_rng(1).integers(0, 256, (1500, 2000, 3), np.uint8)
    explainer = Explainer(TinyGraph(steps=[STRETCH]).serialize(), threads=Threads(1))
    peaks = []
    for classes in (1, 4):
        subject, plan = explainer.prepare(photo), explainer.plan(Request(top_k=classes))
        tracemalloc.start()
        try:
            result = explainer.finish(plan, subject, *explainer.infer([subject], [plan]))
            for explanation in result.explanations:
                overlay(photo, explanation.tiled_heatmap())
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert len(result.explanations) == classes
    assert max(peaks) / (1500 * 2000) < 5
    assert peaks[1] < 1.1 * peaks[0]


def test_what_is_asked_for_is_kept() -> None:
    photo = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
    [explanation] = Explainer(TinyGraph(steps=[STRETCH]).serialize(), threads=Threads(1)).explain(photo).explanations
    assert explanation.heatmap is explanation.heatmap
    np.testing.assert_array_equal(explanation.heatmap, plain_laid(explanation.input_heatmap, explanation.frame))
