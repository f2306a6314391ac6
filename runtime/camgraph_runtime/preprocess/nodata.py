"""Values that an image lacks, as beside the swath of a satellite: they are filled, so that the network can run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidInputError
from camgraph_core.shown import lacking
from camgraph_core.types import AnyArray


@dataclass(frozen=True)
class Filled:
    """An image without holes.

    Attributes:
        pixels: [H, W, C]: float32 where something was filled, else as they were.
        missing: Where no band has data, bool [H, W]; None where that is nowhere.
        remark: What the user should know, in a sentence or two; empty if nothing.

    """

    pixels: AnyArray
    missing: AnyArray | None = None
    remark: str = ""


def fill(pixels: AnyArray, spec: pb.InputSpec, nodata: float | None) -> Filled:
    """Fills what an image lacks with the mean of its band.

    That is the mean of the training images where the manifest has one, which a network takes as nothing unusual; else
    the mean of what the band has.

    Args:
        pixels: [H, W, C] of any element type of numbers.
        spec: The input.
        nodata: The value that stands for no data, beside what is not a finite number.

    Raises:
        InvalidInputError: There is no data at all, or none in a band whose mean is not known.

    """
    holes = lacking(pixels, nodata)
    if not holes.any():
        return Filled(pixels)
    missing = np.asarray(holes.all(axis=2))
    if missing.all():
        raise InvalidInputError("The image has no data: every pixel is NaN, or has the value that stands for no data.")
    filled = pixels.astype(np.float32)
    has_mean = any(spec.mean)
    for band in np.flatnonzero(holes.any(axis=(0, 1))):
        here = holes[:, :, band]
        if not has_mean and here.all():
            raise InvalidInputError(
                f"{_name(spec, int(band))} has no data, and the graph states no mean to fill it with."
            )
        mean = _stated_mean(spec, int(band)) if has_mean else filled[:, :, band][~here].mean(dtype=np.float64)
        filled[here, band] = mean
    return Filled(filled, missing if missing.any() else None, _remark(holes, missing, has_mean=has_mean))


def _stated_mean(spec: pb.InputSpec, band: int) -> float:
    """The mean of a band in units of the image."""
    return spec.divisor * (spec.mean[band] if len(spec.mean) > 1 else spec.mean[0])


def _name(spec: pb.InputSpec, band: int) -> str:
    return f"Band {spec.band_names[band]}" if len(spec.band_names) > band else f"Channel {band + 1}"


def _remark(holes: AnyArray, missing: AnyArray, *, has_mean: bool) -> str:
    empty, partly = int(missing.sum()), int(holes.any(axis=2).sum() - missing.sum())
    counts = [f"{empty} pixels have no data and are left unpainted"] if empty else []
    counts += [f"{partly} pixels lack some of their bands"] if partly else []
    mean = "the band's mean in training" if has_mean else "the mean of the band's other pixels"
    return f"{', '.join(counts)} ({empty / missing.size:.1%} of the image): the network saw {mean} there."
