"""The vocabulary: what can be said of an operator, and the row that says it of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Flag, auto
from typing import Final

MICROSOFT = "com.microsoft"
"""The domain of the operators that onnxruntime has beside the standard's."""


class Trait(Flag):
    """Something that is true of an operator, whatever its attributes are; `MEANINGS` says what, in words."""

    NONE = 0
    # --- element by element
    ELEMENTWISE = auto()
    ACTIVATION = auto()
    ARITHMETIC = auto()
    AFFINE = auto()
    SHIFTS = auto()
    CLAMPS = auto()
    ROUNDS = auto()
    TRUTH = auto()
    SELECTS = auto()
    COPIES = auto()
    # --- elements in other places
    MOVES = auto()
    RESHAPES = auto()
    PERMUTES = auto()
    CUTS = auto()
    JOINS = auto()
    REPEATS = auto()
    PICKS = auto()
    PADS = auto()
    SCATTERS = auto()
    RESAMPLES = auto()
    COORDINATES = auto()
    # --- several elements in one
    PRODUCT = auto()
    MULTIPLIES = auto()
    ADDS = auto()
    SLIDES = auto()
    TRANSPOSED = auto()
    POOLS = auto()
    CHOOSES = auto()
    REDUCES = auto()
    NORMALISES = auto()
    OVER_AXIS = auto()
    FROM_AXIS = auto()
    CHANNELS_SECOND = auto()
    MIXES_PLACES = auto()
    LOSES_PLACES = auto()
    # --- numbers
    LINEAR = auto()
    KEEPS_RANGE = auto()
    OR_ZERO = auto()
    # --- quantised integers
    QUANTISES = auto()
    DEQUANTISES = auto()
    KEEPS_SCALE = auto()
    ACCUMULATES = auto()
    KERNEL = auto()
    ABSORBED = auto()
    # --- results that the elements of the input do not decide
    OF_SHAPE = auto()
    FILLS = auto()
    RANDOM = auto()
    INDEXES = auto()
    CONTROL = auto()


MEANINGS: Final[Mapping[Trait, str]] = {
    Trait.ELEMENTWISE: "Each element of the result is computed from the elements of the inputs at its place.",
    Trait.ACTIVATION: "A function of one variable that networks have after a layer.",
    Trait.ARITHMETIC: "Computes with the numbers of several inputs, which broadcast.",
    Trait.AFFINE: "Where all inputs but one are constants, it scales that one and adds to it, perhaps per channel.",
    Trait.SHIFTS: "Where all inputs but one are constants, it adds to that one.",
    Trait.CLAMPS: "Limits its input to a range.",
    Trait.ROUNDS: "The result has whole numbers.",
    Trait.TRUTH: "The result has truth values.",
    Trait.SELECTS: "Each element is that of one input or of another.",
    Trait.COPIES: "The same elements in the same shape, perhaps of another type.",
    Trait.MOVES: "Gives each element of the input a place, repeats it or drops it, and never computes with its value.",
    Trait.RESHAPES: "All elements in the same order, in another shape.",
    Trait.PERMUTES: "The same axes in another order.",
    Trait.CUTS: "A range of an axis.",
    Trait.JOINS: "Several inputs along one axis.",
    Trait.REPEATS: "Each element several times.",
    Trait.PICKS: "The elements that another input names.",
    Trait.PADS: "Elements are put around the input's own.",
    Trait.SCATTERS: "Elements of one input are put into another, at places that a third names.",
    Trait.RESAMPLES: "Reads the input between its elements.",
    Trait.COORDINATES: "Computes coordinates, in whose rounding runtimes differ.",
    Trait.PRODUCT: "A product with weights: a layer of a network.",
    Trait.MULTIPLIES: "The product of its inputs, without a bias.",
    Trait.ADDS: "The sum or mean of its inputs or of their elements.",
    Trait.SLIDES: "A window slides over the spatial axes.",
    Trait.TRANSPOSED: "The result is larger: each element of the input has a window there.",
    Trait.POOLS: "A summary per window, or per map, of each channel.",
    Trait.CHOOSES: "The largest or smallest of several elements; equal ones tie.",
    Trait.REDUCES: "Takes the elements of an axis together.",
    Trait.NORMALISES: "A normalisation layer.",
    Trait.OVER_AXIS: "Takes together what lies along the axis that the attribute `axis` names.",
    Trait.FROM_AXIS: "Takes together what lies along all axes from the attribute `axis` on.",
    Trait.CHANNELS_SECOND: "Takes [N, C, ...] and gives it.",
    Trait.MIXES_PLACES: "An element of the result may depend on every place of the map.",
    Trait.LOSES_PLACES: "Nothing says where on the image the elements of the result lie.",
    Trait.LINEAR: "Linear in each input, so that its derivative does not read the result.",
    Trait.KEEPS_RANGE: "No element is smaller or larger than all elements of the inputs.",
    Trait.OR_ZERO: "Beside what the input's range allows, elements may be zero.",
    Trait.QUANTISES: "Turns real numbers into integers that stand for them.",
    Trait.DEQUANTISES: "Turns integers into the real numbers that they stand for.",
    Trait.KEEPS_SCALE: "Of quantised integers it makes integers of the same scale and zero point.",
    Trait.ACCUMULATES: "Adds products of integers up in int32.",
    Trait.KERNEL: "A runtime computes it in one step with the quantiser after it, and with an activation between them.",
    Trait.ABSORBED: "A runtime computes it in one step with the sum before it; a quantiser may take its place.",
    Trait.OF_SHAPE: "The result depends on the shape of the input alone.",
    Trait.FILLS: "Makes a tensor of a given shape; no element of an input is in it.",
    Trait.RANDOM: "The result is drawn at random.",
    Trait.INDEXES: "The result has indices.",
    Trait.CONTROL: "Runs graphs of its own.",
}

# What follows from a trait, so that a row need not repeat it.
IMPLIED: Final[Mapping[Trait, Trait]] = {
    Trait.ACTIVATION: Trait.ELEMENTWISE,
    Trait.ARITHMETIC: Trait.ELEMENTWISE,
    Trait.CLAMPS: Trait.ELEMENTWISE,
    Trait.ROUNDS: Trait.ELEMENTWISE,
    Trait.TRUTH: Trait.ELEMENTWISE,
    Trait.SELECTS: Trait.ELEMENTWISE,
    Trait.COPIES: Trait.ELEMENTWISE | Trait.KEEPS_RANGE,
    Trait.RESHAPES: Trait.MOVES,
    Trait.PERMUTES: Trait.MOVES,
    Trait.CUTS: Trait.MOVES,
    Trait.JOINS: Trait.MOVES,
    Trait.REPEATS: Trait.MOVES,
    Trait.PICKS: Trait.MOVES,
    Trait.MOVES: Trait.LINEAR | Trait.KEEPS_RANGE | Trait.KEEPS_SCALE,
    Trait.OR_ZERO: Trait.KEEPS_RANGE,
    Trait.RESAMPLES: Trait.COORDINATES,
    Trait.TRANSPOSED: Trait.SLIDES,
    Trait.SLIDES: Trait.CHANNELS_SECOND,
    Trait.SHIFTS: Trait.AFFINE,
}


@dataclass(frozen=True)
class Operator:
    """What is known of one operator; of one without a row, nothing.

    Args:
        name: as in the standard, or in the operator's own domain.
        traits: with those that follow from others.
        domain: empty for ai.onnx.
        bounds: what no element of the result is below or above.
        weights: the input that holds a sliding window's weights, whose last axes are the kernel.
        sorts_by: the input by which the operator sorts or selects.
        twin: the ordinary operator that it does to the real numbers that quantised integers stand for.
        stop: why no gradient passes it by its nature; empty where one may.

    """

    name: str
    traits: Trait = Trait.NONE
    domain: str = ""
    bounds: tuple[float, float] | None = None
    weights: int | None = None
    sorts_by: int | None = None
    twin: str = ""
    stop: str = ""


def row(
    name: str,
    traits: Trait = Trait.NONE,
    *,
    domain: str = "",
    bounds: tuple[float, float] | None = None,
    weights: int | None = None,
    sorts_by: int | None = None,
    twin: str = "",
    stop: str = "",
) -> Operator:
    """Return the row of an operator, with the traits that follow from those that are given."""
    return Operator(name, _closed(traits), domain, bounds, weights, sorts_by, twin, stop)


def _closed(traits: Trait) -> Trait:
    """Add what follows from traits."""
    more = traits
    for trait in traits:
        more |= IMPLIED.get(trait, Trait.NONE)
    return more if more == traits else _closed(more)
