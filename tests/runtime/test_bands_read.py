"""Images of bands: where data is missing, and which bands people see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_core.request import Request
from camgraph_core.style import Style
from camgraph_runtime.preprocess import PreparedPhoto, Preprocessor
from support.rasters import tiff

RNG = np.random.default_rng(0)
HEIGHT, WIDTH = 12, 16
NAMES = ("B01", "B02", "B03", "B04", "B08", "SWIR")


def spec(channels: int = 6, **changes: Any) -> pb.InputSpec:
    fields: dict[str, Any] = {
        "tensor": pb.TensorSpec(name="image", dtype="float32", shape=["N", str(channels), "?", "?"]),
        "layout": pb.LAYOUT_NCHW,
        "channel_order": pb.CHANNEL_ORDER_STORED,
        "divisor": 1,
        "stated": True,
    }
    return pb.InputSpec(**(fields | changes))


def prepared(image: np.ndarray | bytes, wanted: pb.InputSpec | None = None, **asked: Any) -> PreparedPhoto:
    preprocessor = Preprocessor(wanted or spec())
    return preprocessor.prepare(preprocessor.read(image, Request(**asked)))


def reflectance(channels: int = 6) -> np.ndarray:
    return (RNG.random((HEIGHT, WIDTH, channels)) * 3000 + 100).astype(np.float32)


HOLE = (slice(2, 5), slice(3, 9))


@pytest.mark.parametrize("nothing", [np.nan, np.inf, -np.inf, -3.4028235e38])
def test_pixels_without_data_become_the_mean_of_training(nothing: float) -> None:
    image = reflectance()
    image[HOLE] = nothing
    means = [0.1 * (band + 1) for band in range(6)]
    found = prepared(image, spec(divisor=10_000, mean=means, std=[0.5] * 6))
    assert np.abs(found.tensor[0][:, HOLE[0], HOLE[1]]).max() < 1e-6
    assert found.missing is not None
    assert found.missing.sum() == 18
    assert found.missing[HOLE].all()
    assert (found.photo[HOLE] == 0).all()
    [bands, hole] = found.remarks
    assert hole == (
        "18 pixels have no data and are left unpainted (9.4% of the image): the network saw the band's mean in "
        "training there."
    )
    assert bands == "Pictures show bands 1, 2 and 3 of 6 as red, green and blue."


def test_without_a_mean_of_training_it_is_that_of_the_other_pixels() -> None:
    image = reflectance()
    image[HOLE] = np.nan
    found = prepared(image)
    inside = found.tensor[0][:, HOLE[0], HOLE[1]]
    np.testing.assert_allclose(
        inside, np.broadcast_to(np.nanmean(image, (0, 1))[:, None, None], inside.shape), rtol=1e-5
    )
    assert "the mean of the band's other pixels" in found.remarks[1]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("way", ["asked", "tag", "tag of grey"])
def test_a_value_for_no_data_is_asked_for_or_stands_in_the_file(dtype: str, way: str) -> None:
    channels = 1 if way == "tag of grey" else 6
    image = (RNG.random((HEIGHT, WIDTH, channels)) * 200 + 1).astype(dtype)
    image[HOLE] = 0
    plain = image[:, :, 0] if channels == 1 else image
    source, asked = (image, {"nodata": 0}) if way == "asked" else (tiff(plain, nodata="0"), {})
    found = prepared(source, spec(channels), **asked)
    assert found.missing is not None
    assert (found.missing == (image == 0).all(axis=2)).all()
    assert prepared(image, spec(channels)).missing is None


def test_a_pixel_that_lacks_some_bands_stays_and_is_said() -> None:
    image = reflectance()
    image[3, 4, 2] = image[5, 6, 0] = np.nan
    found = prepared(image)
    assert found.missing is None
    assert np.isfinite(found.tensor).all()
    assert found.remarks[1].startswith("2 pixels lack some of their bands (0.0% of the image)")


def test_an_image_without_any_data_is_refused() -> None:
    image = reflectance()
    image[:, :, 3] = np.nan
    with pytest.raises(InvalidInputError, match=r"Channel 4 has no data, and the graph states no mean"):
        prepared(image)
    with pytest.raises(InvalidInputError, match=r"Band B04 has no data"):
        prepared(image, spec(band_names=NAMES))
    assert np.isfinite(prepared(image, spec(mean=[1.0] * 6)).tensor).all()
    with pytest.raises(InvalidInputError, match=r"The image has no data: every pixel"):
        prepared(np.full_like(image, np.nan), spec(mean=[1.0] * 6))


@pytest.mark.parametrize(
    ("names", "asked", "shown"),
    [
        ((), (), (0, 1, 2)),
        (NAMES, (), (3, 2, 1)),
        (("a", "blue", "Green", "RED", "b", "c"), (), (3, 2, 1)),
        (NAMES, ("SWIR", "b08", "1"), (5, 4, 0)),
        (NAMES, ("swir",), (5,)),
        ((), ("6", "1", "2"), (5, 0, 1)),
    ],
)
def test_bands_are_shown_by_name_number_or_colour(
    names: tuple[str, ...], asked: tuple[str, ...], shown: tuple[int, ...]
) -> None:
    found = prepared(reflectance(), spec(band_names=names), style=Style(display_bands=asked))
    assert found.shown is not None
    assert found.shown.bands == shown


def test_the_stretch_goes_from_the_second_to_the_ninety_eighth_percentile_of_what_has_data() -> None:
    image = np.tile(np.linspace(0, 10_000, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH, 1), 6)
    image[0, :4] = np.nan
    image[-1, -1] = 29_000  # a cloud
    found = prepared(image)
    assert found.shown is not None
    low, high = np.nanpercentile(image[:, :, 0], (2, 98))
    assert found.shown.low == pytest.approx([low] * 3)
    assert found.shown.high == pytest.approx([high] * 3)
    middle = np.nanpercentile(image[:, :, 0], 50)
    place = np.unravel_index(np.nanargmin(np.abs(image[:, :, 0] - middle)), (HEIGHT, WIDTH))
    assert found.photo[place][0] == pytest.approx(127.5, abs=2)
    assert (found.photo[-1, -1] == 255).all()


def test_eight_bits_are_shown_as_they_are_unless_a_stretch_is_asked_for() -> None:
    image = RNG.integers(40, 90, (HEIGHT, WIDTH, 6), np.uint8)
    np.testing.assert_array_equal(prepared(image).photo, image[:, :, :3])
    assert prepared(image, style=Style(stretch=(0, 100))).photo.min() == 0
    assert prepared(image, style=Style(stretch=(0, 100))).photo.max() == 255


@pytest.mark.parametrize(
    ("names", "asked", "said"),
    [
        ((), {"display_bands": ("7",)}, "no band '7': the image has 6, which are called by number from 1"),
        ((), {"display_bands": ("0",)}, "no band '0'"),
        (NAMES, {"display_bands": ("B09",)}, "B09.*B08"),
        (NAMES, {"display_bands": ("B02", "B03")}, "one band or three, but 2 were named"),
        ((), {"stretch": (98, 2)}, "from a low to a higher percentile in 0..100, but this is 98 to 2"),
        ((), {"stretch": (0, 101)}, "0 to 101"),
    ],
)
def test_bands_and_percentiles_that_do_not_exist_are_refused(
    names: tuple[str, ...], asked: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        prepared(reflectance(), spec(band_names=names), style=Style(**asked))


@pytest.mark.parametrize(("scale", "is_said"), [(1, False), (1 / 10_000, True), (20, True)])
def test_values_far_from_those_of_training_are_said(scale: float, is_said: bool) -> None:
    wanted = spec(value_low=[0.0] * 6, value_high=[10_000.0] * 6)
    remarks = prepared(reflectance() * np.float32(scale), wanted).remarks
    assert any("but the graph was exported for 0..10000" in remark for remark in remarks) == is_said
