"""Patches of the image below chosen cells of a map: which pixels they take, and where in the map they should show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from camgraph_runtime.maps.placement import CellAxis, FrameCells, Placement

# A patch is as large as a cell, or as this share of the map where cells are small: larger ones move more.
_SHARE_OF_MAP = 1 / 8


@dataclass(frozen=True)
class Patch:
    """A part of the image or clip: `spans` has its first and end pixel down, across, and of a clip its frames.

    Its centre lies at `place` in the map: row, column, and of a clip the frame. Positions in the map count cells; 0 is
    the centre of the first cell.
    """

    spans: tuple[tuple[int, int], ...]
    place: tuple[float, ...]


def corners(placement: Placement, share: float, frames: FrameCells | None = None) -> list[Patch]:
    """Return up to four patches near the corners of a map, `share` of the map inside its edges; of a clip eight."""
    patches = ring(placement, share, frames)
    rows, columns = ({patch.place[axis] for patch in patches} for axis in (0, 1))
    return [
        patch
        for patch in patches
        if patch.place[0] in (min(rows), max(rows)) and patch.place[1] in (min(columns), max(columns))
    ]


def ring(placement: Placement, share: float, frames: FrameCells | None = None) -> list[Patch]:
    """Return up to eight patches around the middle of a map: `corners` and those halfway between.

    Of a clip they are near its first frames, and again near its last. Cells outside the image, where a network pads,
    have none.
    """
    along_rows, along_columns = placement.network_size[:: -1 if placement.transposed else 1]
    rows, columns = (
        list(_spans(placement.rows, along_rows, share)),
        list(_spans(placement.columns, along_columns, share)),
    )
    moments = [] if frames is None else list(_spans(frames.cells, frames.length, share))
    ends = [((), ())] if frames is None else [((place,), (span,)) for place, span in (moments[0], moments[-1])]
    patches = []
    for i, (row, vertical) in enumerate(rows):
        for j, (column, horizontal) in enumerate(columns):
            if (i, len(rows), j, len(columns)) == (1, 3, 1, 3):
                continue  # A mirrored map shows the middle in its place.
            spans = (horizontal, vertical) if placement.transposed else (vertical, horizontal)
            patches += [Patch((*spans, *span), (row, column, *place)) for place, span in dict.fromkeys(ends)]
    return patches


def _spans(axis: CellAxis, length: int, share: float) -> Iterator[tuple[float, tuple[int, int]]]:
    """Yield the first, the middle and the last place along an axis: where it lies in the map, first and end pixel."""
    centres = axis.centres()
    seen = np.flatnonzero((centres > 0) & (centres < length))
    inside = int(len(seen) * share)
    half = max(1.0, axis.cells * _SHARE_OF_MAP) * abs(axis.stride) / 2
    for cell in sorted({*seen[[inside, len(seen) // 2, -1 - inside]]} if len(seen) else ()):
        start = int(np.clip(round(centres[cell] - half), 0, length - 1))
        end = int(np.clip(round(centres[cell] + half), start + 1, length))
        place = ((start + end) / 2 - axis.start) / axis.stride - 0.5
        yield float(np.clip(place, 0, axis.cells - 1)), (start, end)
