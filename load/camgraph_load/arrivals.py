"""When calls are due."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from camgraph_core.errors import UsageError
from camgraph_load.records import Seconds

Arrivals: TypeAlias = Literal["poisson", "constant"]
MOST_CALLS = 5_000_000
"""The calls of one run, whose records are held in memory."""


def due_times(arrivals: Arrivals, rate: float, duration: float, seed: int) -> Seconds:
    """Times in 0..duration at which calls are due, ascending.

    Args:
        arrivals: "constant": equal distances. "poisson": independent callers, so that calls come in bursts.
        rate: Calls per second.
        duration: In seconds.
        seed: For "poisson".

    Raises:
        UsageError: These are more calls than a run can hold.

    """
    if rate * duration > MOST_CALLS:
        raise UsageError(f"{rate:g} calls/s for {duration:g} s are more than {MOST_CALLS} calls. Shorten the run.")
    if arrivals == "constant":
        return np.arange(int(rate * duration), dtype=np.float64) / rate
    generator = np.random.default_rng(seed)
    # Given their number, the arrivals of a Poisson process are independent and uniform.
    return np.sort(generator.uniform(0.0, duration, generator.poisson(rate * duration)))


def shared_out(due: Seconds, processes: int, number: int) -> Seconds:
    """The part of a schedule that one of several processes keeps: every so many-th call."""
    return due[number::processes]
