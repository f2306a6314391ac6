"""Hot regions of a heatmap: connected cells that are hot, where they lie, and how much of the heat they hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camgraph_core.components import components_of_runs, runs_of
from camgraph_core.frame import Frame
from camgraph_core.rectangle import Rectangle
from camgraph_core.types import AnyArray, FloatArray

MOST_REGIONS = 20
"""Of a map, the regions with the most energy."""


@dataclass(frozen=True)
class HotRegion:
    """Connected cells of a heatmap that are as hot as a threshold; cells that touch at a corner are connected.

    Attributes:
        box: The smallest rectangle around it, in pixels of the photo (of the input where a tensor was given).
        area: Share of the picture that it covers, 0..1. What the network did not see counts for the picture.
        mean: Mean heat of its cells, 0..1.
        peak: Largest heat, 0..1.
        energy: Share of the whole map's heat that it holds, 0..1.

    """

    box: Rectangle
    area: float
    mean: float
    peak: float
    energy: float


def hot_regions(heatmap: FloatArray, frame: Frame, threshold: float) -> tuple[HotRegion, ...]:
    """The hot regions of a heatmap, those with the most energy first, at most `MOST_REGIONS`.

    They are found on the cells of the network's input, so a large photo costs no more than a small one. Cells beside
    the photo, such as the padding of a letterbox, do not count.

    Args:
        heatmap: float32 [h_in, w_in] in 0..1, in the frame of the network's input.
        frame: Where the photo lies in the input.
        threshold: The heat from which on a cell is hot, above 0 and up to 1.

    """
    rows, columns = frame.vertical.filled, frame.horizontal.filled
    cells = np.asarray(heatmap[rows, columns], np.float64)
    total = float(cells[cells > 0].sum())
    height, width = frame.photo_size
    pixels_per_cell = 1 / (frame.vertical.scale * frame.horizontal.scale)
    found = []
    for top, bottom, left, right, count, energy, peak in _measured(cells, cells >= threshold):
        box = frame.on_photo(
            Rectangle(columns.start + left, rows.start + top, columns.start + right, rows.start + bottom)
        )
        area = min(count * pixels_per_cell / (height * width), 1.0)
        found.append(HotRegion(box, area, energy / count, peak, energy / total))
    return tuple(found)


def _measured(cells: AnyArray, hot: AnyArray) -> list[tuple[int, int, int, int, int, float, float]]:
    """Top, bottom, left, right, number of cells, energy and peak of each region, those with the most energy first."""
    if not hot.any():
        return []
    starts, stops = runs_of(hot)
    width = hot.shape[1] + 1  # of the rows that runs are in
    number = components_of_runs(starts, stops, width)
    padded = np.pad(cells, ((0, 0), (0, 1))).ravel()
    edges = np.stack([starts, stops], axis=1).ravel()
    sums, peaks = np.add.reduceat(padded, edges)[::2], np.maximum.reduceat(padded, edges)[::2]
    energy = np.bincount(number, sums)
    best = np.argsort(-energy, kind="stable")[:MOST_REGIONS]
    regions = []
    for index in best:
        of_it = number == index
        rows, left, right = starts[of_it] // width, starts[of_it] % width, stops[of_it] % width
        count = int((stops - starts)[of_it].sum())
        sides = int(rows.min()), int(rows.max()) + 1, int(left.min()), int(right.max())
        regions.append((*sides, count, float(energy[index]), float(peaks[of_it].max())))
    return regions
