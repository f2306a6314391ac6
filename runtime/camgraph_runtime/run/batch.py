"""Batches for graphs that take one size of batch only: cut into portions, and the last one filled up with copies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from camgraph_core.types import AnyArray


def portions(count: int, size: int | None) -> Iterator[slice]:
    """The places of the images of each run: all of them at once, or as many as a fixed batch takes.

    Args:
        count: Number of images.
        size: The one batch size that the graph takes, or None if it takes any.

    """
    step = size or max(count, 1)
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def fill_up(feeds: Mapping[str, AnyArray], size: int | None) -> dict[str, AnyArray]:
    """The inputs of a run with copies of the last image and its targets, up to a fixed batch.

    What the graph gives for the copies is to be dropped. Scalars stay as they are.

    Args:
        feeds: Arrays [n, ...] with n at most `size`, and scalars.
        size: The one batch size that the graph takes, or None if it takes any.

    """
    if size is None:
        return dict(feeds)
    return {
        name: np.concatenate([array, np.repeat(array[-1:], size - len(array), axis=0)])
        if array.ndim and len(array) < size
        else array
        for name, array in feeds.items()
    }
