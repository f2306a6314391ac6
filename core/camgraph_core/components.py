"""Connected components of cells; cells that touch at a corner are connected."""

from __future__ import annotations

import numpy as np

from camgraph_core.types import AnyArray


def components(cells: AnyArray) -> list[AnyArray]:
    """The connected components of the cells that are true, those with the most cells first; then the upper one first.

    Args:
        cells: bool [h, w].

    Returns:
        For each component the flat indices of its cells.

    """
    starts, stops = runs_of(cells)
    if not starts.size:
        return []
    width = cells.shape[1] + 1
    lengths = stops - starts
    number = np.repeat(components_of_runs(starts, stops, width), lengths)
    places = np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
    flat = places - places // width  # rows without the cell at their end
    order = np.argsort(number, kind="stable")
    found = np.split(flat[order], np.cumsum(np.bincount(number))[:-1])
    return sorted(found, key=len, reverse=True)


def runs_of(cells: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Where cells that stand side by side begin and end, as places in rows that are one cell longer.

    No run goes on in the next row, as the cell at the end of each row is false.
    """
    flat = np.pad(cells, ((0, 0), (0, 1))).ravel().astype(np.int8)
    change = np.diff(flat, prepend=0)
    return np.flatnonzero(change == 1), np.flatnonzero(change == -1)


def components_of_runs(starts: AnyArray, stops: AnyArray, width: int) -> AnyArray:
    """For each run the number of its component, from 0 in the order of the first runs.

    Args:
        starts: Where runs begin, as `runs_of` says it.
        stops: Where they end.
        width: Of the rows that runs are in, with the cell at their end.

    """
    # A run touches those of the next row that begin no later than it ends, and end no sooner than it begins.
    first = np.searchsorted(stops, starts + width, side="left")
    last = np.searchsorted(starts, stops + width, side="right")
    counts = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(starts.size), counts)
    lower = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    label = np.arange(starts.size)
    while True:
        least = np.minimum(label[upper], label[lower])
        merged = label.copy()
        np.minimum.at(merged, label[upper], least)
        np.minimum.at(merged, label[lower], least)
        while not np.array_equal(jumped := merged[merged], merged):
            merged = jumped
        if np.array_equal(merged, label):
            return np.unique(label, return_inverse=True)[1]
        label = merged
