"""Geometry: the picture that the network sees, and heatmaps laid back onto the photo."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidGraphError, InvalidInputError
from camgraph_core.frame import Frame
from camgraph_core.laid import LaidMap
from support.geometry import apply_steps

LIMIT = 10_000_000
RESIZE_SHORTER = pb.GeometryStep(resize_shorter_side=pb.ResizeShorterSide(size=64))
CROP = pb.GeometryStep(center_crop=pb.CenterCrop(height=56, width=56))
STRETCH = pb.GeometryStep(resize_to=pb.ResizeTo(height=48, width=72))
SQUARE = pb.GeometryStep(center_square=pb.CenterSquare())
LETTERBOX = pb.GeometryStep(letterbox=pb.Letterbox(height=64, width=80, fill=114))

PIPELINES = {
    "none": [],
    "crop after resize": [RESIZE_SHORTER, CROP],
    "stretch": [STRETCH],
    "square then stretch": [SQUARE, STRETCH],
    "letterbox": [LETTERBOX],
    "crop pads": [pb.GeometryStep(center_crop=pb.CenterCrop(height=300, width=300))],
}


@pytest.mark.parametrize(
    ("steps", "size"),
    [
        ([RESIZE_SHORTER], (64, 96)),
        ([RESIZE_SHORTER, CROP], (56, 56)),
        ([STRETCH], (48, 72)),
        ([SQUARE], (200, 200)),
        ([LETTERBOX], (64, 80)),
        ([], (200, 300)),
    ],
)
def test_sizes(steps: list[pb.GeometryStep], size: tuple[int, int]) -> None:
    image, frame = apply_steps(np.zeros((200, 300, 3), np.uint8), steps, max_pixels=LIMIT)
    assert image.shape[:2] == size
    assert (frame.vertical.network, frame.horizontal.network) == size
    assert (frame.vertical.photo, frame.horizontal.photo) == (200, 300)


@pytest.mark.parametrize("name", PIPELINES)
@settings(max_examples=60)
@given(
    height=st.integers(60, 240),
    width=st.integers(60, 240),
    down=st.floats(0, 1),
    across=st.floats(0, 1),
)
def test_a_bright_spot_comes_back_to_its_place(name: str, height: int, width: int, down: float, across: float) -> None:
    """The network's own picture, taken as a heatmap, must land on the photo that it was made from."""
    assume(max(height, width) < 2.5 * min(height, width))
    radius = max(4, min(height, width) // 12)
    row, column = _inside(down, height, radius), _inside(across, width, radius)
    photo = np.zeros((height, width, 3), np.uint8)
    photo[row - radius : row + radius + 1, column - radius : column + radius + 1] = 255

    image, frame = apply_steps(photo, PIPELINES[name], max_pixels=LIMIT)
    seen = np.asarray(image, np.float32)[:, :, 0] / 255
    seen[seen == np.float32(114 / 255)] = 0  # the letterbox's padding is no spot
    back = LaidMap(seen, frame).whole()

    assert back.shape == (height, width)
    assert back.dtype == np.float32
    visible = photo[:, :, 0] * (LaidMap(np.ones_like(seen), frame).whole() > 0)
    assume(np.count_nonzero(visible) > radius**2)
    tolerance = 0.75 * max(1.0, 1 / frame.vertical.scale, 1 / frame.horizontal.scale)
    np.testing.assert_allclose(_centroid(back), _centroid(visible), atol=tolerance)


def _inside(share: float, length: int, radius: int) -> int:
    return radius + round(share * (length - 1 - 2 * radius))


def _centroid(weights: np.ndarray) -> tuple[float, float]:
    rows, columns = np.indices(weights.shape)
    total = weights.sum(dtype=np.float64)
    return float((rows * weights).sum(dtype=np.float64) / total), float(
        (columns * weights).sum(dtype=np.float64) / total
    )


def test_cells_outside_the_crop_are_zero() -> None:
    steps = [pb.GeometryStep(center_crop=pb.CenterCrop(height=10, width=6))]
    _, frame = apply_steps(np.zeros((20, 30, 3), np.uint8), steps, max_pixels=LIMIT)
    back = LaidMap(np.ones((10, 6), np.float32), frame).whole()
    expected = np.zeros((20, 30), np.float32)
    expected[5:15, 12:18] = 1
    np.testing.assert_array_equal(back, expected)


def test_the_letterbox_padding_is_left_out() -> None:
    """A wide photo fills a square's middle; what lies above and below is not part of the photo."""
    steps = [pb.GeometryStep(letterbox=pb.Letterbox(height=40, width=40, fill=7))]
    image, frame = apply_steps(np.full((20, 40, 3), 200, np.uint8), steps, max_pixels=LIMIT)
    pixels = image
    assert (pixels[:10] == 7).all()
    assert (pixels[10:30] == 200).all()
    assert (pixels[30:] == 7).all()
    heatmap = np.zeros((40, 40), np.float32)
    heatmap[:10] = 1
    heatmap[10:30] = np.linspace(0.25, 0.75, 20, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(LaidMap(heatmap, frame).whole(), heatmap[10:30])


def test_an_identity_frame_returns_the_same_bits() -> None:
    heatmap = np.random.default_rng(0).random((33, 47), np.float32)
    np.testing.assert_array_equal(LaidMap(heatmap, Frame.identity(33, 47)).whole(), heatmap)


def test_a_stretch_is_undone_by_bilinear_interpolation() -> None:
    _, frame = apply_steps(np.zeros((2, 8, 3), np.uint8), [_resize_to(2, 4)], max_pixels=LIMIT)
    heatmap = np.array([[0, 1, 0, 1], [1, 1, 1, 1]], np.float32)
    back = LaidMap(heatmap, frame).whole()
    np.testing.assert_allclose(back[0], [0, 0.25, 0.75, 0.75, 0.25, 0.25, 0.75, 1], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(back[1], np.ones(8))


def test_crop_of_a_smaller_picture_pads_with_zeros() -> None:
    image, _ = apply_steps(np.full((4, 4, 3), 9, np.uint8), [_crop(6, 5)], max_pixels=LIMIT)
    pixels = image[:, :, 0]
    assert pixels.shape == (6, 5)
    assert (pixels[1:5, :4] == 9).all()
    assert pixels.sum() == 9 * 16


def test_a_thin_photo_is_refused_before_it_grows() -> None:
    steps = [pb.GeometryStep(resize_shorter_side=pb.ResizeShorterSide(size=256)), _crop(224, 224)]
    with pytest.raises(InvalidInputError, match=r"it would have 1280000 x 256 pixels"):
        apply_steps(np.zeros((2, 10_000, 3), np.uint8), steps, max_pixels=LIMIT)


def test_unknown_and_empty_steps_are_the_graphs_fault() -> None:
    photo = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(InvalidGraphError, match="a geometry step that this version does not know"):
        apply_steps(photo, [pb.GeometryStep()], max_pixels=LIMIT)
    with pytest.raises(InvalidGraphError, match="asks for 5 x 0 pixels"):
        apply_steps(photo, [_resize_to(0, 5)], max_pixels=LIMIT)


def _resize_to(height: int, width: int) -> pb.GeometryStep:
    return pb.GeometryStep(resize_to=pb.ResizeTo(height=height, width=width))


def _crop(height: int, width: int) -> pb.GeometryStep:
    return pb.GeometryStep(center_crop=pb.CenterCrop(height=height, width=width))
