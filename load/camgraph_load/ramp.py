"""The knee: the highest rate that a server still keeps up with."""

from __future__ import annotations

from collections.abc import Sequence

from camgraph_load.recorded import Recorded

KEEPS_UP = 0.95
"""Part of the offered calls that must be answered well for a server to keep up."""


def knee(steps: Sequence[Recorded], most_latency: float | None = None) -> Recorded | None:
    """The step of the highest rate up to which all steps keep up; None if the first does not.

    Args:
        steps: Runs of rising rate.
        most_latency: Largest 99th percentile of the latency, in milliseconds, with which a server keeps up.

    """
    best = None
    for step in steps:
        summary = step.summary
        late = most_latency is not None and summary.latency.percentiles["p99"] > most_latency
        if summary.good < KEEPS_UP * summary.offered or late:
            break
        best = step
    return best
