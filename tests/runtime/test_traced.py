"""Outlines of regions, and components of cells, against what is written the plain way."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camgraph_core.components import components
from camgraph_runtime.pictures.outline import traced

BOTH = {40: (1, 2), 700: (2, 3), 1500: (3, 6)}
"""By the longer side of a picture: how far the white line and the dark ones reach from the edge, in pixels."""


@pytest.mark.parametrize("longer", BOTH)
def test_a_traced_region_has_a_white_line_between_dark_ones(longer: int) -> None:
    shape = (longer // 2, longer)
    noise = np.random.default_rng(3).random((5, 9)).astype(np.float32)
    region = cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_LINEAR)
    inside = (region >= 0.5).astype(np.uint8)
    picture = np.random.default_rng(4).integers(60, 200, (*shape, 3), np.uint8)
    wanted = picture.copy()
    for reach, ink in zip(reversed(BOTH[longer]), ((28, 32, 38), (255, 255, 255)), strict=True):
        window = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
        wanted[cv2.dilate(inside, window) != cv2.erode(inside, window)] = ink
    assert (wanted == 255).any()
    np.testing.assert_array_equal(traced(picture.copy(), region), wanted)
    np.testing.assert_array_equal(traced(picture.copy(), np.ones(shape, np.float32)), picture)


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0, 1), st.integers(0, 1000))
def test_components_are_those_of_opencv(rows: int, columns: int, share: float, seed: int) -> None:
    cells = np.random.default_rng(seed).random((rows, columns)) < share
    found = components(cells)
    _, labels = cv2.connectedComponents(cells.astype(np.uint8), connectivity=8)
    wanted = {frozenset(np.flatnonzero(labels.ravel() == n).tolist()) for n in range(1, labels.max() + 1)}
    assert {frozenset(part.tolist()) for part in found} == wanted
    sizes = [len(part) for part in found]
    assert sizes == sorted(sizes, reverse=True)
    firsts = [(len(part), -part.min()) for part in found]
    assert firsts == sorted(firsts, reverse=True)
