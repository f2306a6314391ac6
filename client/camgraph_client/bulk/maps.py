"""Maps as numbers that take little room: a value is a stored number times the scale that is stored beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from camgraph_core.explanation import Explanation
from camgraph_core.types import FloatArray

Kind: TypeAlias = Literal["heatmap", "input-heatmap", "signed", "none"]
"""In the frame of the photo, in that of the network's input, or the layer's own cells before ReLU and scaling."""

Numbers: TypeAlias = Literal["8bit", "float16"]


@dataclass(frozen=True)
class StoredMap:
    """A map as it is stored: ``numbers * scale`` are its values, row by row, in the shape [height, width]."""

    numbers: np.ndarray[Any, Any]
    scale: float
    height: int
    width: int


def map_of(explanation: Explanation, kind: Kind, numbers: Numbers, max_side: int) -> StoredMap | None:
    """The map of an explanation.

    Args:
        explanation: What was explained; with the profile "raw" for the kind "signed".
        kind: Which map; "none" gives None.
        numbers: "8bit": uint8 with the scale 1/255 for a map in 0..1; int8 for a signed one, whose largest magnitude is
            127. "float16": half precision, of a signed map over a power of two that is as large as its largest value.
        max_side: Longest side of the kind "heatmap", in pixels.

    """
    if kind == "none":
        return None
    values = explanation.heatmap_within(max_side) if kind == "heatmap" else explanation.input_heatmap
    stored, scale = _signed(values, numbers) if kind == "signed" else _unit(values, numbers)
    return StoredMap(stored.ravel(), scale, *values.shape)


def _unit(values: FloatArray, numbers: Numbers) -> tuple[np.ndarray[Any, Any], float]:
    if numbers == "float16":
        return values.astype(np.float16), 1.0
    return np.rint(values * np.float32(255)).astype(np.uint8), 1 / 255


def _signed(values: FloatArray, numbers: Numbers) -> tuple[np.ndarray[Any, Any], float]:
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)  # the statistics say that there are such cells
    largest = float(np.abs(finite).max(initial=0.0))
    if largest == 0:
        return np.zeros(values.shape, np.float16 if numbers == "float16" else np.int8), 1.0
    if numbers == "float16":
        scale = 2.0 ** math.frexp(largest)[1]
        return (finite / np.float64(scale)).astype(np.float16), scale
    scale = largest / 127
    return np.rint(finite / np.float64(scale)).astype(np.int8), scale
