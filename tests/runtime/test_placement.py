"""Where maps lie on the network's input: rectangles of cells, and maps laid there, against a sampling of its own."""

from __future__ import annotations

import numpy as np
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.rectangle import Rectangle
from camgraph_runtime.maps.placement import FrameCells, Placement
from camgraph_runtime.maps.profiles import pytorch_grad_cam
from support.cells import rectangle_of

SIZE = (48, 64)


def _layer(rows: dict[str, float], columns: dict[str, float], *, transposed: bool = False) -> pb.Layer:
    return pb.Layer(
        placement=pb.Placement(
            rows=pb.AxisPlacement(**rows), columns=pb.AxisPlacement(**columns), transposed=transposed
        )
    )


PLACES = {
    "upright": (_layer({"stride": 8}, {"stride": 8}), Rectangle(16, 8, 24, 16)),
    "cropped": (_layer({"start": 16, "stride": 4}, {"start": 8, "stride": 6}), Rectangle(20, 20, 26, 24)),
    "mirrored": (_layer({"stride": 8}, {"start": 64, "stride": -8}), Rectangle(40, 8, 48, 16)),
    "mirrored from the end": (
        _layer({"stride": 8}, {"start": -4, "start_share": 1, "stride": -8}),
        Rectangle(36, 8, 44, 16),
    ),
    "resized": (_layer({"stride_share": 0.25}, {"stride_share": 0.125}), Rectangle(16, 12, 24, 24)),
    "transposed": (_layer({"stride": 8}, {"start": 48, "stride": -6}, transposed=True), Rectangle(8, 30, 16, 36)),
    "transposed, along the longer side": (
        _layer({"stride": 12}, {"start": 48, "stride": -6}, transposed=True),
        Rectangle(12, 30, 24, 36),
    ),
    "transposed and resized": (
        _layer({"stride_share": 0.125}, {"start_share": 1, "stride": -6}, transposed=True),
        Rectangle(8, 30, 16, 36),
    ),
    "shifted by half a cell": (_layer({"start": 4, "stride": 8}, {"start": 4, "stride": 8}), Rectangle(20, 12, 28, 20)),
    "padded": (_layer({"start": -8, "stride": 16}, {"start": -20, "stride": 8}), Rectangle(-4, 8, 4, 24)),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_cell_is_a_rectangle_of_the_input(name: str) -> None:
    layer, expected = PLACES[name]
    assert rectangle_of(Placement.of_layer(layer, SIZE, (4, 5)), 1, 2) == expected


def test_a_map_without_a_place_covers_the_input() -> None:
    placement = Placement.of_layer(pb.Layer(), SIZE, (3, 4))
    assert placement.covers_input
    assert rectangle_of(placement, 0, 0) == Rectangle(0, 0, 16, 16)
    assert rectangle_of(placement, 2, 3) == Rectangle(48, 32, 64, 48)


@pytest.mark.parametrize("name", PLACES)
def test_cells_in_a_padding_are_not_on_the_input(name: str) -> None:
    placement = Placement.of_layer(PLACES[name][0], SIZE, (6, 9))
    found = placement.on_input()
    for row, column in np.ndindex(6, 9):
        box = rectangle_of(placement, row, column)
        middle = (box.top + box.bottom) / 2, (box.left + box.right) / 2
        assert found[row, column] == all(0 <= at < length for at, length in zip(middle, SIZE, strict=True))


@pytest.mark.parametrize("name", PLACES)
def test_a_map_is_laid_where_its_cells_are(name: str) -> None:
    layer, _ = PLACES[name]
    cells = np.random.default_rng(0).random((4, 5), dtype=np.float32)
    placement = Placement.of_layer(layer, SIZE, cells.shape)
    laid = placement.lay(cells)
    assert (laid.shape, laid.dtype) == (SIZE, np.float32)
    np.testing.assert_allclose(laid, _sampled(placement, cells), rtol=0, atol=1e-6)


def _sampled(placement: Placement, cells: np.ndarray) -> np.ndarray:
    """Each pixel by itself: the mean of its four nearest centres by distance, 0 outside of every rectangle."""
    size = placement.network_size
    boxes = {(i, j): rectangle_of(placement, i, j) for i in range(cells.shape[0]) for j in range(cells.shape[1])}
    laid = np.zeros(size)
    for y in range(size[0]):
        for x in range(size[1]):
            if any(b.top <= y + 0.5 < b.bottom and b.left <= x + 0.5 < b.right for b in boxes.values()):
                shares = {place: _share(y + 0.5, x + 0.5, box) for place, box in boxes.items()}
                laid[y, x] = sum(share * cells[place] for place, share in shares.items()) / sum(shares.values())
    return laid


def _share(y: float, x: float, box: Rectangle) -> float:
    """The weight of a cell at a point: falls linearly to 0 over one cell from its centre, each way."""
    down = abs(y - (box.top + box.bottom) / 2) / (box.bottom - box.top)
    across = abs(x - (box.left + box.right) / 2) / (box.right - box.left)
    return max(0.0, 1 - down) * max(0.0, 1 - across)


def test_a_placed_map_is_scaled_before_it_is_laid() -> None:
    """What the network did not see is 0, although the lowest cell of the map is 3."""
    layer, _ = PLACES["cropped"]
    raw = np.float32([[3, 4, 5], [3, 3, 7]])
    placement = Placement.of_layer(layer, SIZE, raw.shape)
    heatmap = pytorch_grad_cam([raw], SIZE, [placement])
    assert heatmap[:16].max() == heatmap[:, :8].max() == heatmap[24:].max() == 0
    assert np.unravel_index(heatmap.argmax(), SIZE) in {(y, x) for y in range(20, 24) for x in range(20, 26)}
    assert heatmap.max() == pytest.approx(1)


def test_maps_of_several_places_are_fused_on_the_input() -> None:
    left = _layer({"stride": 12}, {"start": 0, "stride": 8})
    mirrored = _layer({"stride": 12}, {"start": 64, "stride": -8})
    raw = np.zeros((4, 4), np.float32)
    raw[1, 1] = 1
    places = [Placement.of_layer(layer, SIZE, raw.shape) for layer in (left, mirrored)]
    heatmap = pytorch_grad_cam([raw, raw], SIZE, places)
    np.testing.assert_allclose(heatmap, heatmap[:, ::-1], rtol=0, atol=1e-6)
    assert heatmap[18, 12] == pytest.approx(1, abs=0.2)
    assert heatmap[18, 32] == 0


def test_frames_lie_where_the_manifest_places_them() -> None:
    """Cells of three frames from two frames before the clip on: the first and the last have their middle outside."""
    place = pb.Placement(frames=pb.AxisPlacement(start=-2, stride=3))
    placed = FrameCells.of_layer(pb.Layer(frames=4, placement=place), 8)
    np.testing.assert_array_equal(placed.cells.centres(), [-0.5, 2.5, 5.5, 8.5])
    np.testing.assert_array_equal(placed.on_input(), [False, True, True, False])


def test_frames_without_a_place_cover_the_clip() -> None:
    spread = FrameCells.of_layer(pb.Layer(frames=4), 8)
    np.testing.assert_array_equal(spread.cells.centres(), [1, 3, 5, 7])
    assert spread.on_input().all()
