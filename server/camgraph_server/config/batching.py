"""How requests that come at the same time are run together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from camgraph_core.errors import UsageError
from camgraph_core.settings import Setting

_MOST_IMAGES = 1024
_MOST_SECONDS = 10.0


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise ValueError("a list of whole numbers such as 1,4,16") from error


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """How requests that come at the same time are run together."""

    max_batch_size: Annotated[
        int,
        Setting(
            "Largest number of images that one run of a graph takes together. 0 means 16 on CUDA, and 1 elsewhere: on "
            "the CPU a batch takes as long as its images one by one.",
            at_least=0,
            at_most=_MOST_IMAGES,
        ),
    ] = 0
    max_queue_delay: Annotated[
        float,
        Setting(
            "Seconds that the first image of a batch waits for others, where batches are run. While all runs are busy, "
            "a batch takes images however long that is.",
            at_least=0,
            at_most=_MOST_SECONDS,
        ),
    ] = 0.0
    batch_buckets: Annotated[
        tuple[int, ...],
        Setting(
            "Sizes of batches that are run, each of them once before a model is ready. A smaller batch is filled up "
            "to the next size. Default: powers of two, and the largest size.",
            read=_sizes,
            metavar="N[,N...]",
        ),
    ] = ()

    def check_batching(self) -> None:
        """Raises `UsageError` if a bucket is no size of a batch."""
        if any(not 1 <= size <= (self.max_batch_size or _MOST_IMAGES) for size in self.batch_buckets):
            raise UsageError("The batch buckets must be whole numbers from 1 to max-batch-size.")
