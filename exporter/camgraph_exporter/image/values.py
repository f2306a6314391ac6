"""Which values a graph expects in its image: told by the element type, and by what the graph does to pixels first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from camgraph_exporter.image.stem import Affine, first_arithmetic
from camgraph_exporter.running.probe import Probe

# Means of ImageNet as toolkits write them, for pixels 0..255, red first.
_IMAGENET_MEANS = np.array([123.7, 116.5, 103.7])
_SCALES = ((255.0, 40.0, 300.0), (4095.0, 4000.0, 4200.0), (65535.0, 60000.0, 70000.0))  # range; divisors that tell it


@dataclass(frozen=True)
class Expected:
    """The values that an image takes, from black to white.

    `fact`: how that is known, and `so`: what follows for pixels, both in words. `normalises`: the graph scales or
    shifts them itself. `blue_first`: whether its means are those of blue, green and red in this order; None where the
    means do not tell.
    """

    black: float
    white: float
    fact: str
    so: str
    normalises: bool = False
    blue_first: bool | None = None

    @property
    def note(self) -> str:
        """What the user should know where pixels get these values."""
        order = " Its means are those of ImageNet with blue first." if self.blue_first else ""
        return f"{self.fact}, so {self.so}.{order}"

    @property
    def note_on_twice(self) -> str:
        """What the user should know where something else was stated."""
        return f"{self.fact}. What was stated for the input is done before that; leave it out to have it done once."


def expected_values(image: ir.Value, known: Probe) -> Expected | None:
    """Return which values an image input takes, or None where neither its type nor the graph tells."""
    assert image.dtype is not None
    if image.dtype == ir.DataType.INT8:
        return Expected(-128, 127, "The input is int8", "pixels 0..255 go in less 128")
    affine = first_arithmetic(image, known)
    if affine is not None and affine.is_identity:
        affine = None
    ends = None if affine is None else _range(affine)
    if not image.dtype.is_floating_point():
        return _of_whole_numbers(image.dtype, ends, normalises=affine is not None)
    if affine is None:
        return None
    return _as_stored(affine) if ends is None else _normalised(affine, *ends)


def _of_whole_numbers(dtype: ir.DataType, ends: tuple[float, float] | None, *, normalises: bool) -> Expected:
    if ends is None or not 255 <= ends[1] <= np.iinfo(dtype.numpy()).max:
        ends = (0.0, 255.0)
    go = "pixels go in as they are" if ends[1] == 255 else f"pixels 0..255 are stretched to 0..{ends[1]:g}"
    return Expected(*ends, f"The input is {dtype.numpy().name}", go, normalises)


def _normalised(affine: Affine, black: float, white: float) -> Expected:
    fact = f"The graph itself computes {_formula(affine)} on values {black:g}..{white:g}"
    go = "as they are" if white == 255 else "as numbers in that range, and nothing more is done to them"
    return Expected(black, white, fact, f"pixels go in {go}", True, _blue_first(affine, white))


def _as_stored(affine: Affine) -> Expected | None:
    """Return that values go in as an image file has them, where the graph scales down values of a range of their own.

    That is so only of images that are neither grey nor colour: those have pixels 0..255.
    """
    if len(affine.scale) in (1, 3) or max(affine.scale) > 0.5:
        return None
    fact = f"The graph itself computes {_formula(affine)}"
    return Expected(0, 255, fact, "the values of the image go in as they are", normalises=True)


def _range(affine: Affine) -> tuple[float, float] | None:
    """Return the range of pixels that scale and offset were made for: it ends around zero, or in 0..1."""
    scale, offset = np.array(affine.scale), np.array(affine.offset)
    if (scale <= 0).any():
        return None
    std = 1 / scale
    if np.allclose(offset, 0, atol=1e-6):
        if (std <= 0.67).all():
            return 0.0, 1.0
        return next(((0.0, white) for white, low, high in _SCALES if ((std >= low) & (std <= high)).all()), None)
    mean = -offset / scale
    if np.allclose(mean, -1, atol=0.02):
        return -1.0, 1.0
    middle = float(mean.mean())
    if (std <= 0.55).all() and (mean >= 0).all() and 0.1 <= middle <= 0.95:
        return 0.0, 1.0
    if (mean > -1).all() and (mean < 256).all() and middle >= 20:
        return 0.0, 255.0
    return next(((0.0, white) for white, *_ in _SCALES[1:] if 0.3 * white < middle < 0.7 * white), None)


def _blue_first(affine: Affine, white: float) -> bool | None:
    if len(affine.scale) != 3:
        return None
    means = -np.array(affine.offset) / np.array(affine.scale) * 255 / white
    for blue_first, order in ((False, _IMAGENET_MEANS), (True, _IMAGENET_MEANS[::-1])):
        if np.allclose(means, order, atol=2):
            return blue_first
    return None


def _formula(affine: Affine) -> str:
    """Return the arithmetic as toolkits write it: `(x - [mean]) / [std]`, or `x / 255`; about, of a mean image."""
    scale, offset = np.array(affine.scale), np.array(affine.offset)
    mean, std = -offset / scale, 1 / scale
    top = "x" if np.allclose(mean, 0, atol=1e-6) else f"(x - {_numbers(mean)})"
    about = "" if affine.is_even else "about "
    return about + (top if np.allclose(std, 1, atol=1e-6) else f"{top} / {_numbers(std)}")


def _numbers(values: Sequence[float] | np.ndarray) -> str:
    short = [f"{value:.4g}" for value in values]
    return short[0] if len(set(short)) == 1 else f"[{', '.join(short)}]"
