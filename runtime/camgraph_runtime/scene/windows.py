"""The windows over a scene, and how much each counts where they overlap."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_core.frame import Size
from camgraph_core.tiles import Tile
from camgraph_core.types import FloatArray

_MOST_WINDOWS = 1 << 16
_SMALLEST = 8  # pixels of a window's side


def check_windows(tile: int, overlap: int) -> None:
    """Checks the side and the overlap of windows.

    Raises:
        UsageError: A window is too small, or overlaps by more than a half.

    """
    if tile < _SMALLEST:
        raise UsageError(f"A window has {tile} pixels to a side; it must have {_SMALLEST} at least.")
    if not 0 <= overlap <= tile // 2:
        raise UsageError(f"Windows of {tile} pixels overlap by 0 to {tile // 2} pixels, not by {overlap}.")


def windows_over(size: Size, tile: int, overlap: int, fraction: int) -> list[Tile]:
    """The windows over a scene, row by row; each is ``tile`` pixels to a side, or as large as the scene.

    Args:
        size: Height and width of the scene.
        tile: Side of a window.
        overlap: Pixels that neighbours share at least.
        fraction: Windows start at multiples of it.

    Raises:
        InvalidInputError: There are too many.

    """
    down, across = (_starts(length, tile, overlap, fraction) for length in size)
    if len(down) * len(across) > _MOST_WINDOWS:
        raise InvalidInputError(
            f"The scene takes {len(down) * len(across)} windows of {tile} pixels, but the limit is {_MOST_WINDOWS}. "
            "Take larger ones."
        )
    return [
        (slice(top, min(top + tile, size[0])), slice(left, min(left + tile, size[1])))
        for top in down
        for left in across
    ]


def weights_of(window: Tile, size: Size, overlap: int, fraction: int) -> FloatArray:
    """How much a window counts in each cell of ``fraction`` pixels that it covers: float32 [h, w] in 0..1.

    It counts in full inside, and less and less over the middle half of what it shares with a neighbour. The outer
    quarter does not count: there the network saw the edge of the window, which the scene does not have.
    """
    down, across = (_along(part, length, overlap, fraction) for part, length in zip(window, size, strict=True))
    return np.multiply.outer(down, across)


class Counts:
    """How much each pixel of a window counts, so that all windows together count every pixel of the scene once.

    Args:
        windows: All windows over the scene.
        size: Height and width of the scene.
        overlap: Pixels that neighbours share at least.

    """

    def __init__(self, windows: Iterable[Tile], size: Size, overlap: int) -> None:
        self._overlap = overlap
        along = zip(*windows, strict=True)
        self._totals = [self._total(parts, length) for parts, length in zip(along, size, strict=True)]

    def of(self, window: Tile) -> FloatArray:
        """How much each pixel of a window counts, float32 [h, w] in 0..1."""
        down, across = (
            _along(part, len(total), self._overlap, 1) / total[part]
            for part, total in zip(window, self._totals, strict=True)
        )
        counts: FloatArray = np.multiply.outer(down, across)
        return counts

    def _total(self, parts: Iterable[slice], length: int) -> FloatArray:
        total = np.zeros(length, np.float32)
        for part in {(part.start, part.stop): part for part in parts}.values():
            total[part] += _along(part, length, self._overlap, 1)
        return np.maximum(total, np.float32(1e-6))


def _starts(length: int, tile: int, overlap: int, fraction: int) -> list[int]:
    if length <= tile:
        return [0]
    step = max(fraction, (tile - overlap) // fraction * fraction)
    last = -(-(length - tile) // fraction) * fraction
    return [*range(0, last, step), last]


def _along(part: slice, length: int, overlap: int, fraction: int) -> FloatArray:
    cells = -(-(part.stop - part.start) // fraction)
    middles = part.start + (np.arange(cells) + 0.5) * fraction
    before = middles - part.start if part.start > 0 else np.full(cells, np.inf)
    after = part.stop - middles if part.stop < length else np.full(cells, np.inf)
    if overlap == 0:
        return np.ones(cells, np.float32)
    inside = (np.minimum(before, after) - overlap / 4) / (overlap / 2)
    return np.clip(inside, 0, 1).astype(np.float32)
