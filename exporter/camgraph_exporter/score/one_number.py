"""Decides what one number without a sigmoid is: the logit of two classes, or a quantity.

The graphs look alike. A name that speaks of logits or classes, or two labels, say that it is a classifier. Otherwise
the number counts as a quantity: that claims less, and its map of "more" is the same as that of class 1.

One number per pixel counts as the logit of a mask, as most are, unless its name speaks of a quantity such as depth, or
it cannot be negative.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_OF_A_CLASSIFIER = {"logit", "prob", "class", "cls", "sigmoid", "softmax", "label", "binary", "positive"}
_OF_A_QUANTITY = {"regress", "age", "value", "count", "depth", "distance", "angle", "quantity", "price", "rating"}
_OF_A_MASK = _OF_A_CLASSIFIER | {"mask", "segment", "seg"}
_OF_A_QUANTITY_PER_PIXEL = _OF_A_QUANTITY | {"disp", "disparity", "density", "elevation", "height", "flow"}


@dataclass(frozen=True)
class OneNumber:
    """What one number without a sigmoid was taken for, and the remark that says so."""

    is_quantity: bool
    note: str


def one_number(output: str, tensor: str, num_labels: int) -> OneNumber:
    """Take the only number that an output shows as a quantity or as a logit.

    `tensor`: the name of the tensor that the output shows. `num_labels`: labels that are known, zero for none.
    """
    is_quantity, reason = _is_quantity([output, tensor], num_labels)
    assumed = "a quantity (regression)" if is_quantity else "the logit of two classes"
    other = "the logit of two classes" if is_quantity else "a quantity"
    advice = "--task classification" if is_quantity else "--task regression"
    note = (
        f"Output {output!r} is one number without a sigmoid. It was taken as {assumed}, as {reason}. "
        f"If it is {other}, state {advice}."
    )
    return OneNumber(is_quantity, note)


def number_per_pixel(output: str, tensor: str, *, is_rectified: bool) -> OneNumber:
    """Take the only number of each pixel as a quantity or as the logit of a mask.

    `output`, `tensor`: as for `one_number`. `is_rectified`: it cannot be negative, and has no upper bound.
    """
    words = {word for name in (output, tensor) for word in words_of(name)}
    masking, measuring = _hit(words, _OF_A_MASK), _hit(words, _OF_A_QUANTITY_PER_PIXEL)
    is_quantity = bool(measuring) or is_rectified
    reason = "nothing says that it is a quantity"
    if is_quantity:
        reason = f"its name speaks of {measuring!r}" if measuring else "it cannot be negative"
    elif masking:
        reason = f"its name speaks of {masking!r}"
    assumed = "a quantity (dense regression)" if is_quantity else "the logit of a mask (segmentation)"
    other = "the logit of a mask" if is_quantity else "a quantity such as depth"
    advice = "--task segmentation" if is_quantity else "--task dense-regression"
    note = (
        f"Output {output!r} is one number per pixel without a sigmoid. It was taken as {assumed}, as {reason}. "
        f"If it is {other}, state {advice}."
    )
    return OneNumber(is_quantity, note)


def words_of(name: str) -> list[str]:
    """Split the name of a tensor into its words, in lower case."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    return [word.lower() for word in re.split(r"[^A-Za-z]+", spaced) if word]


def _is_quantity(names: Iterable[str], num_labels: int) -> tuple[bool, str]:
    """Tell whether one number is a quantity, and why, as part of a sentence."""
    words = {word for name in names for word in words_of(name)}
    classifying, quantifying = _hit(words, _OF_A_CLASSIFIER), _hit(words, _OF_A_QUANTITY)
    if num_labels == 2:
        return False, "there are two labels"
    if classifying and not quantifying:
        return False, f"its name speaks of {classifying!r}"
    return True, f"its name speaks of {quantifying!r}" if quantifying else "nothing says that it is a logit"


def _hit(words: Iterable[str], known: Iterable[str]) -> str:
    """Return the word that is, in singular or plural or as the start of a longer one, among the known ones."""
    return next((word for word in sorted(words) for start in known if _is(word, start)), "")


def _is(word: str, start: str) -> bool:
    return word.startswith(start) if len(start) > 4 else word in (start, f"{start}s")
