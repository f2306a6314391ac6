"""From the activations of layers to one vector for each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camgraph_core.types import FloatArray
from camgraph_runtime.maps.placement import CellAxis, Placement


@dataclass(frozen=True)
class PatchGrid:
    """The vectors of an image's cells.

    Attributes:
        vectors: float32 [h * w, K], row by row.
        size: h and w.
        placement: Where the cells lie on the network's input.

    """

    vectors: FloatArray
    size: tuple[int, int]
    placement: Placement


def patches_of(activations: Sequence[FloatArray], places: Sequence[Placement], reach: int) -> PatchGrid:
    """The vectors of the cells of the finest layer.

    Each layer is first averaged over a cell and its neighbours. Coarser layers are read at the centres of the finest
    layer's cells, bilinearly, and joined to it.

    Args:
        activations: A [K, h, w] of each layer.
        places: Where each lies on the network's input.
        reach: Neighbours in each direction; 1 averages over 3 x 3 cells, 0 over none.

    """
    upright = [_upright(layer, place) for layer, place in zip(activations, places, strict=True)]
    finest = max(upright, key=lambda item: item.array.shape[1] * item.array.shape[2])
    down, across = finest.vertical.centres(), finest.horizontal.centres()
    parts = [_read(_averaged(item.array, reach), item, down, across) for item in upright]
    vectors = np.concatenate([part.reshape(len(part), -1) for part in parts]).T
    placement = Placement(finest.vertical, finest.horizontal, False, places[0].network_size, covers_input=False)
    return PatchGrid(np.ascontiguousarray(vectors), (len(down), len(across)), placement)


@dataclass(frozen=True)
class _Upright:
    """A layer [K, h, w] whose rows lie along the input's height."""

    array: FloatArray
    vertical: CellAxis
    horizontal: CellAxis


def _upright(layer: FloatArray, place: Placement) -> _Upright:
    if place.transposed:
        return _Upright(layer.transpose(0, 2, 1), place.columns, place.rows)
    return _Upright(layer, place.rows, place.columns)


def _averaged(layer: FloatArray, reach: int) -> FloatArray:
    """The mean over each cell and its neighbours; at the edges over those that are there."""
    for axis in (1, 2):
        cells = layer.shape[axis]
        sums = np.cumsum(layer, axis=axis, dtype=np.float64)
        sums = np.concatenate([np.zeros_like(sums.take([0], axis)), sums], axis)
        ends = np.minimum(np.arange(cells) + reach + 1, cells)
        starts = np.maximum(np.arange(cells) - reach, 0)
        counts = (ends - starts).reshape((-1, 1) if axis == 1 else (-1,))
        layer = ((sums.take(ends, axis) - sums.take(starts, axis)) / counts).astype(np.float32)
    return layer


def _read(layer: FloatArray, item: _Upright, down: NDArray[np.float64], across: NDArray[np.float64]) -> FloatArray:
    """A layer at places on the input, float32 [K, places down, places across]; beyond its cells the outermost count."""
    for axis, (cells, places) in enumerate(((item.vertical, down), (item.horizontal, across)), start=1):
        lower, upper, weight = cells.taps(places)
        share = weight.reshape((-1, 1) if axis == 1 else (-1,))
        layer = layer.take(lower, axis) * (1 - share) + layer.take(upper, axis) * share
    return layer
