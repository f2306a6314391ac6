"""The maps of parallel branches become one, by how much each says."""

from __future__ import annotations

import numpy as np

from camgraph_runtime.maps.branches import add_up
from camgraph_runtime.maps.placement import Placement

SIZE = (32, 48)


def _over_input(raw: np.ndarray) -> Placement:
    return Placement.over_input(SIZE, (raw.shape[0], raw.shape[1]))


def test_maps_of_the_same_cells_are_added_cell_by_cell() -> None:
    maps = [np.full((4, 6), value, np.float32) for value in (1, -3)]
    [total], [place] = add_up(maps, list(map(_over_input, maps)))
    np.testing.assert_array_equal(total, np.full((4, 6), -2))
    assert place == _over_input(maps[0])


def test_maps_of_other_cells_are_added_by_their_evidence_per_pixel() -> None:
    """Evidence spread evenly: what a pixel gets is the sum of a map over the number of pixels."""
    fine, coarse = np.full((4, 6), 1, np.float32), np.full((2, 3), 8, np.float32)
    [total], [place] = add_up([fine, coarse], [_over_input(fine), _over_input(coarse)])
    expected = (fine.sum() + coarse.sum()) / (SIZE[0] * SIZE[1])
    np.testing.assert_allclose(total, np.full(SIZE, expected), rtol=1e-6)
    assert place == Placement.over_input(SIZE, SIZE)


def test_a_map_of_zeros_has_no_say() -> None:
    speaking, silent = np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros((4, 6), np.float32)
    for maps in ([speaking, silent], [silent, speaking]):
        [alone], [place] = add_up(maps, list(map(_over_input, maps)))
        assert alone is speaking
        assert place == _over_input(speaking)
