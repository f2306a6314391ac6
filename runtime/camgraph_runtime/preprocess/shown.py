"""Which bands of an image people see, and what is black and white in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import UsageError
from camgraph_core.names import unknown_name
from camgraph_core.request import Request
from camgraph_core.shown import Shown, lacking
from camgraph_core.style import Style
from camgraph_core.types import AnyArray
from camgraph_runtime.preprocess.layout import channel_count

# What bands of red, green and blue light are called: by themselves, and by Sentinel-2 and Landsat 8 and 9.
_COLOURS = (("red", "green", "blue"), ("r", "g", "b"), ("b04", "b03", "b02"), ("b4", "b3", "b2"))
_MOST_SAMPLES = 1 << 20
_USUAL_STRETCH = (2.0, 98.0)


def choose_shown(
    pixels: AnyArray,
    spec: pb.InputSpec,
    style: Style,
    nodata: float | None,
    channel_axis: int | None = None,
    missing: AnyArray | None = None,
) -> Shown:
    """How an image of bands is shown.

    Args:
        pixels: The image, [H, W, C].
        spec: The input, which may name the bands.
        style: The bands that were asked for, and the percentiles that are black and white. By default bands that are
            called red, green and blue, else the first ones; pixels of 8 bits as they are, others from the 2nd to the
            98th percentile.
        nodata: The value that stands for no data.
        channel_axis: Of a ready tensor, see `Shown`.
        missing: Where data is missing and was filled, bool [H, W].

    Raises:
        UsageError: There is no such band.

    """
    bands = tuple(_index(name, spec, pixels.shape[2]) for name in style.display_bands) or _usual(spec, pixels.shape[2])
    stretch = style.stretch or (None if pixels.dtype == np.uint8 else _USUAL_STRETCH)
    ends = [
        (0.0, 255.0) if stretch is None else _percentiles(pixels[:, :, band], nodata, missing, stretch)
        for band in bands
    ]
    return Shown(bands, tuple(low for low, _ in ends), tuple(high for _, high in ends), nodata, channel_axis)


def usual_bands(spec: pb.InputSpec) -> tuple[str, ...]:
    """The bands of a graph's input that are shown where nobody names any, each by its number from 1."""
    return tuple(str(band + 1) for band in _usual(spec, channel_count(spec)))


def refuse_bands(request: Request) -> None:
    """Checks that a request for a network that takes grey or colour says nothing of bands.

    Raises:
        UsageError: It names bands, how they are stretched, or a value for no data.

    """
    if request.nodata is not None or request.style.display_bands or request.style.stretch is not None:
        raise UsageError(
            "The network takes photos in grey or colour, so there are no bands to show or to stretch and no value for "
            "no data. Leave these options out; a network of bands is exported with --bands."
        )


def remark_on(shown: Shown, spec: pb.InputSpec, channels: int) -> str:
    """What to say of the bands that pictures show; empty where they are all that there are."""
    if channels in (1, 3) and sorted(shown.bands) == list(range(channels)):
        return ""
    names = [spec.band_names[band] if len(spec.band_names) == channels else str(band + 1) for band in shown.bands]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    as_colours = " as red, green and blue" if len(names) == 3 else ""
    return f"Pictures show band{'s' * (len(names) > 1)} {listed} of {channels}{as_colours}."


def _index(name: str, spec: pb.InputSpec, channels: int) -> int:
    """Index of a band by its name, or by its number from 1."""
    names = [known.lower() for known in spec.band_names][:channels]
    if name.lower() in names:
        return names.index(name.lower())
    if name.isdecimal() and 1 <= int(name) <= channels:
        return int(name) - 1
    if names:
        raise unknown_name("band", name, spec.band_names)
    raise UsageError(f"There is no band {name!r}: the image has {channels}, which are called by number from 1.")


def _usual(spec: pb.InputSpec, channels: int) -> tuple[int, ...]:
    names = [known.lower() for known in spec.band_names]
    if len(names) == channels:
        for colours in _COLOURS:
            if set(colours) <= set(names):
                return tuple(map(names.index, colours))
    return (0, 1, 2) if channels >= 3 else (0,)


def _percentiles(
    band: AnyArray, nodata: float | None, missing: AnyArray | None, stretch: Sequence[float]
) -> tuple[float, float]:
    """Two percentiles of the values that there are, of at most a million of them."""
    step = max(1, int(np.ceil(np.sqrt(band.size / _MOST_SAMPLES))))
    values = band[::step, ::step]
    holes = lacking(values, nodata)
    values = values[~holes] if missing is None else values[~(holes | missing[::step, ::step])]
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values.astype(np.float64), stretch)
    return float(low), float(high)
