"""Adds up the maps of parallel branches: one score, whose evidence comes through several last feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from camgraph_core.types import FloatArray
from camgraph_runtime.maps.placement import Placement
from camgraph_runtime.maps.profiles import on_input


def add_up(raw_maps: Sequence[FloatArray], placements: Sequence[Placement]) -> tuple[list[FloatArray], list[Placement]]:
    """One raw map of all branches and its placement, in lists of one.

    A map's cells are the branch's evidence for the score, in the score's unit. So they are added as they are: scaled
    to 0..1 each, a branch without evidence would look like one that decides. Maps with the same cells give the map
    that Grad-CAM has for their channels in one layer. Others are laid onto the input as evidence per pixel, [H, W].
    A map of zeros has no say: a box of a detector, which depends on the map of one scale, has the heatmap of that one.

    Args:
        raw_maps: The signed map [h, w] of each branch.
        placements: Where each lies on the network's input.

    """
    speaking = [pair for pair in zip(raw_maps, placements, strict=True) if pair[0].any()]
    if len(speaking) == 1:
        [(alone, place)] = speaking
        return [alone], [place]
    if all(a.shape == b.shape for a, b in pairwise(raw_maps)) and all(a == b for a, b in pairwise(placements)):
        return [np.sum(raw_maps, axis=0)], [placements[0]]
    size = placements[0].network_size
    total = np.sum([_density(cells, place) for cells, place in zip(raw_maps, placements, strict=True)], axis=0)
    return [total], [Placement.over_input(size, size)]


def _density(cells: FloatArray, placement: Placement) -> FloatArray:
    """A raw map on the input [H, W], per pixel."""
    return on_input(cells, placement.network_size, placement) / np.float32(placement.pixels_per_cell)
