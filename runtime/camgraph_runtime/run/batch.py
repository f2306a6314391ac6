"""Sizes of batches: images cut into portions, and a portion filled up with copies to a size that the graph takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from camgraph_core.errors import UsageError
from camgraph_core.types import AnyArray


@dataclass(frozen=True)
class Batching:
    """How images that several threads explain at the same time are run together.

    Args:
        max_batch_size: Most images of one run.
        max_queue_delay: Seconds that the first image of a batch waits for others. While all runs are busy, a batch
            goes on taking images however long that is.
        buckets: Sizes of batches that are run; a smaller batch is filled up with copies to the next of them. By
            default powers of two, and the largest size.
        runs_at_once: Batches that run at the same time: while one is computed, the inputs of others are copied.

    Raises:
        UsageError: A number is out of range.

    """

    max_batch_size: int
    max_queue_delay: float = 0.0
    buckets: tuple[int, ...] = ()
    runs_at_once: int = 2

    def __post_init__(self) -> None:
        if self.max_batch_size < 1 or self.max_queue_delay < 0 or self.runs_at_once < 1:
            raise UsageError("max_batch_size and runs_at_once must be at least 1, and max_queue_delay at least 0.")
        if any(not 1 <= bucket <= self.max_batch_size for bucket in self.buckets):
            raise UsageError(f"buckets must be from 1 to max_batch_size, which is {self.max_batch_size}.")

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of batches that are run, in order; the last is `max_batch_size`."""
        buckets = self.buckets or tuple(2**power for power in range(self.max_batch_size.bit_length()))
        return tuple(sorted({*buckets, self.max_batch_size}))


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
