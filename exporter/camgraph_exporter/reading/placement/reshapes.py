"""Operators that lay the same elements out in other axes."""

from __future__ import annotations

from collections.abc import Sequence

from camgraph_exporter.reading.placement.located import Located, reshaped
from camgraph_exporter.reading.placement.step import MAY_MOVE, Step


def reshape(step: Step, index: int) -> Located:
    """Reshape, Flatten, Squeeze, Unsqueeze."""
    x = step.place(0)
    if x is None:
        return step.all_lost(index, MAY_MOVE)
    return reshaped(x, step.shape(0), step.out(index), step.lost(MAY_MOVE).reason)


def depth_to_space(step: Step, index: int) -> Located:
    """Blocks of channels become the cells within a cell."""
    n, channels, height, width = step.shape(0)
    b = step.number("blocksize", 1)
    kept = channels // (b * b)
    if step.text("mode", "DCR") == "DCR":
        return _rearranged(step, index, [n, b, b, kept, height, width], [0, 3, 4, 1, 5, 2])
    return _rearranged(step, index, [n, kept, b, b, height, width], [0, 1, 4, 2, 5, 3])


def space_to_depth(step: Step, index: int) -> Located:
    """The cells of a block become channels."""
    n, channels, height, width = step.shape(0)
    b = step.number("blocksize", 1)
    return _rearranged(step, index, [n, channels, height // b, b, width // b, b], [0, 3, 5, 1, 2, 4])


def _rearranged(step: Step, index: int, apart: Sequence[int], perm: Sequence[int]) -> Located:
    x, reason = step.place(0), step.lost(MAY_MOVE).reason
    if x is None:
        return step.all_lost(index, MAY_MOVE)
    pieces = reshaped(x, step.shape(0), apart, reason)
    turned = Located(pieces.origin, tuple(pieces.axes[i] for i in perm))
    return reshaped(turned, [apart[i] for i in perm], step.out(index), reason)
