"""Only the part that is wanted is resized, and is what it would be of the whole, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.scaled import Area, Span
from camgraph_runtime.preprocess import resample
from camgraph_runtime.preprocess.resample import Part, resize_part
from support.geometry import apply_steps

FILTERS = {
    pb.FILTER_UNSPECIFIED: Image.Resampling.BILINEAR,
    pb.FILTER_NEAREST: Image.Resampling.NEAREST,
    pb.FILTER_BILINEAR: Image.Resampling.BILINEAR,
    pb.FILTER_BICUBIC: Image.Resampling.BICUBIC,
    pb.FILTER_LANCZOS: Image.Resampling.LANCZOS,
    pb.FILTER_BOX: Image.Resampling.BOX,
}
KINDS = {"colour": (np.uint8, 3), "grey": (np.uint8, 1), "four channels": (np.uint8, 4), "numbers": (np.float32, 2)}
SIDE = st.integers(1, 90)


def whole(pixels: np.ndarray, size: tuple[int, int], filter_: int) -> np.ndarray:
    """Everything resized by Pillow, rows first: the definition."""
    return by_pillow(by_pillow(pixels, (pixels.shape[0], size[1]), filter_), size, filter_)


def by_pillow(pixels: np.ndarray, size: tuple[int, int], filter_: int) -> np.ndarray:
    method, size = FILTERS[filter_], size[::-1]
    if pixels.dtype == np.uint8 and pixels.shape[2] == 3:
        return np.asarray(Image.fromarray(pixels).resize(size, method))
    planes = [Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(pixels, 2, 0)]
    return np.stack([np.asarray(plane.resize(size, method)) for plane in planes], axis=2)


def photo(height: int, width: int, kind: str) -> np.ndarray:
    dtype, channels = KINDS[kind]
    rng = np.random.default_rng(height * 1000 + width)
    return (rng.random((height, width, channels)) * 256).astype(dtype)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("filter_", FILTERS)
@settings(max_examples=30)
@given(have=st.tuples(SIDE, SIDE), want=st.tuples(SIDE, SIDE), data=st.data(), band=st.integers(1, 400))
def test_a_part_is_that_of_the_whole(
    kind: str, filter_: int, have: tuple[int, int], want: tuple[int, int], data: st.DataObject, band: int
) -> None:
    top, left = (data.draw(st.integers(0, length - 1)) for length in want)
    bottom, right = (data.draw(st.integers(low + 1, length)) for low, length in zip((top, left), want, strict=True))
    part = Part(slice(top, bottom), slice(left, right))
    pixels = photo(*have, kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resample, "_PIXELS_PER_BAND", band)
        found = resize_part(pixels, want, filter_, part)
    assert found.dtype == pixels.dtype
    np.testing.assert_array_equal(found, whole(pixels, want, filter_)[part.rows, part.columns])


@pytest.mark.parametrize("filter_", FILTERS)
@settings(max_examples=30)
@given(
    have=st.tuples(SIDE, SIDE), want=st.tuples(SIDE, SIDE), eighths=st.lists(st.integers(0, 7), min_size=4, max_size=4)
)
def test_an_area_is_the_box_of_pillow(
    filter_: int, have: tuple[int, int], want: tuple[int, int], eighths: list[int]
) -> None:
    top, left, bottom, right = (number / 16 for number in eighths)
    area = Area(Span(top, have[0] - top - bottom), Span(left, have[1] - left - right))
    pixels = photo(*have, "colour")
    wide = Image.fromarray(pixels).resize((want[1], have[0]), FILTERS[filter_], (left, 0, have[1] - right, have[0]))
    wanted = wide.resize(want[::-1], FILTERS[filter_], (0, top, want[1], have[0] - bottom))
    np.testing.assert_array_equal(resize_part(pixels, want, filter_, Part.whole(want), area), np.asarray(wanted))


@pytest.mark.parametrize("filter_", FILTERS)
@pytest.mark.parametrize("size", [(1024, 1280), (3000, 4000), (40, 3000), (257, 255), (97, 61)])
def test_the_crop_of_a_photo_is_that_of_the_photo_resized_at_once(size: tuple[int, int], filter_: int) -> None:
    steps = [
        pb.GeometryStep(resize_shorter_side=pb.ResizeShorterSide(size=256, filter=filter_)),
        pb.GeometryStep(center_crop=pb.CenterCrop(height=224, width=224)),
    ]
    pixels = photo(*size, "colour")
    found, frame = apply_steps(pixels, steps, max_pixels=50_000_000)
    shorter = min(size)
    scaled = round(256 * size[0] / shorter), round(256 * size[1] / shorter)
    top, left = (round((length - 224) / 2) for length in scaled)
    expected = by_pillow(pixels, scaled, filter_)[top : top + 224, left : left + 224]
    np.testing.assert_array_equal(found, expected)
    assert frame.network_size == (224, 224)


@pytest.mark.parametrize("turn", [lambda pixels: pixels.swapaxes(0, 1), lambda pixels: pixels[::-1, ::-1]])
def test_a_turned_view_need_not_be_copied_first(turn: object) -> None:
    pixels = turn(photo(77, 50, "colour"))
    expected = whole(np.ascontiguousarray(pixels), (30, 31), pb.FILTER_BICUBIC)
    found = resize_part(pixels, (30, 31), pb.FILTER_BICUBIC, Part.whole((30, 31)))
    np.testing.assert_array_equal(found, expected)


def test_rows_that_are_not_wanted_are_not_read() -> None:
    """Of a photo twice as high as wide, the square in the middle needs little more than half of the rows."""
    read = resample._rows_read(2000, 512, slice(144, 368), Span(0, 2000))
    assert read.stop - read.start < 1000
