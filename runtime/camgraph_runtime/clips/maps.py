"""Maps [t, h, w] of clips: the methods over all cells, and the maps laid onto the frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.types import FloatArray
from camgraph_runtime.maps.cam import Method
from camgraph_runtime.maps.placement import FrameCells, Placement
from camgraph_runtime.maps.profiles import min_max, on_input


def raw_map(method: Method, activations: FloatArray, weights: FloatArray, gradients: FloatArray | None) -> FloatArray:
    """The signed map [t, h, w] of A [K, t, h, w], weights [K] and G [K, t, h, w].

    A method sums over cells wherever they lie, so that it is asked for a map of t * h rows.
    """
    channels, frames, height, width = activations.shape
    rows = (channels, frames * height, width)
    found = method(activations.reshape(rows), weights, None if gradients is None else gradients.reshape(rows))
    return found.reshape(frames, height, width)


def heat_of(
    raw_maps: Sequence[FloatArray], layers: Sequence[pb.Layer], size: tuple[int, int], frames: int, *, adds_up: bool
) -> FloatArray:
    """The heat of all frames, float32 [T, H, W] in 0..1, on the network's input.

    As for images: ReLU, least value 0, largest 1 per layer, their mean, and once more. All frames share one scale.

    Args:
        raw_maps: The signed map [t, h, w] of each layer.
        layers: The layers.
        size: Height and width of the network's input.
        frames: How many frames it takes.
        adds_up: Whether the layers are parallel branches, whose evidence is added, per pixel and frame.

    """
    pairs = list(zip(raw_maps, layers, strict=True))
    if adds_up:
        total = np.sum(
            [_laid(raw / _volume(layer, raw, size, frames), layer, size, frames) for raw, layer in pairs], axis=0
        )
        return min_max(np.maximum(total, 0).astype(np.float32))
    each = [_laid(min_max(np.maximum(raw, 0)), layer, size, frames) for raw, layer in pairs]
    return min_max(np.mean(np.stack(each), axis=0, dtype=np.float32))


def _laid(cells: FloatArray, layer: pb.Layer, size: tuple[int, int], frames: int) -> FloatArray:
    """A map [t, h, w] on the input, [T, H, W]: bilinear over space, linear over time between the middles of cells."""
    place = Placement.of_layer(layer, size, (cells.shape[1], cells.shape[2]))
    slices = np.stack([on_input(part, size, place) for part in cells])
    lower, upper, weight = FrameCells.of_layer(layer, frames).cells.taps(np.arange(frames) + 0.5)
    share = weight[:, None, None]
    laid: FloatArray = slices[lower] * (1 - share) + slices[upper] * share
    return laid


def _volume(layer: pb.Layer, cells: FloatArray, size: tuple[int, int], frames: int) -> np.float32:
    """Pixels and frames per cell."""
    place = Placement.of_layer(layer, size, (cells.shape[1], cells.shape[2]))
    along = FrameCells.of_layer(layer, frames).cells
    return np.float32(place.pixels_per_cell * abs(along.stride))
