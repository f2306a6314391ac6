"""Windows, which say what is black and what is white, and what is said of those that do not fit the picture."""

from __future__ import annotations

import numpy as np
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import UsageError
from camgraph_core.request import Request
from camgraph_core.style import Style
from camgraph_runtime.preprocess import Picture, Preprocessor, decode

LIMIT = 100_000
RNG = np.random.default_rng(8)
RAMP = np.linspace(0, 4095, 48 * 32).reshape(32, 48)


def spec(channels: int, order: pb.ChannelOrder) -> pb.InputSpec:
    tensor = pb.TensorSpec(name="x", dtype="float32", shape=["N", str(channels), "32", "48"])
    return pb.InputSpec(tensor=tensor, layout=pb.LAYOUT_NCHW, channel_order=order, divisor=1)


RGB, STORED = spec(3, pb.CHANNEL_ORDER_RGB), spec(1, pb.CHANNEL_ORDER_STORED)


def read(source: np.ndarray, wanted: pb.InputSpec = RGB, window: tuple[float, float] | None = None) -> Picture:
    return Preprocessor(wanted, max_pixels=LIMIT).read(source, Request(window=window))


def test_a_window_also_works_on_eight_bits() -> None:
    photo = RNG.integers(0, 256, (32, 48, 3), np.uint8)
    windowed = read(photo, RGB, (50, 101))
    np.testing.assert_allclose(windowed.pixels, np.clip((photo - 50.0) * 5, 0, 255), atol=1e-4)


@pytest.mark.parametrize(
    ("values", "window", "said"),
    [
        (
            RAMP.astype(np.uint16),
            (5000, 6000),
            "5000 to 6000 shows none of the values of the picture, which go from 0 to",
        ),
        (RAMP.astype(np.int16) - 2000, (3000, 4000), "3000 to 4000 shows none of the values"),
        (
            RAMP.astype(np.uint8),
            (-1350, 150),
            "The picture has 8 bits, 0 to 255, but the window goes from -1350 to 150",
        ),
    ],
)
def test_a_window_that_is_for_other_values_is_said(values: np.ndarray, window: tuple[float, float], said: str) -> None:
    for wanted in (RGB, STORED):
        assert any(said in remark for remark in read(values, wanted, window).remarks)


@pytest.mark.parametrize(
    "asked",
    [Request(nodata=0), Request(style=Style(display_bands=["2"])), Request(style=Style(stretch=(1, 99)))],
)
def test_bands_are_for_networks_of_bands(asked: Request) -> None:
    with pytest.raises(UsageError, match="there are no bands to show or to stretch and no value for no data"):
        Preprocessor(RGB, max_pixels=LIMIT).read(RAMP, asked)


@pytest.mark.parametrize(("highest", "is_said"), [(10_000.0, True), (1.0, True), (255.0, False)])
def test_a_window_is_for_networks_of_eight_bits(highest: float, is_said: bool) -> None:
    wanted = pb.InputSpec()
    wanted.CopyFrom(STORED)
    wanted.value_low[:], wanted.value_high[:] = [0], [highest]
    remarks = read(RAMP.astype(np.uint16), wanted, (0, 4095)).remarks
    assert any("The window spread the values over 0..255" in remark for remark in remarks) == is_said


@pytest.mark.parametrize("window", [(1, 1), (2, 1), (np.nan, 1), (0, np.inf), (0, 1e-300), (-1e300, 1e300)])
def test_a_window_without_a_width_is_refused(window: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="A window goes from a low to a higher number"):
        read(RAMP, window=window)
    with pytest.raises(UsageError, match="A window goes from"):
        decode(RAMP, max_pixels=LIMIT, window=window)
