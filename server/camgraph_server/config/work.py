"""How many requests are worked on, and how long they get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from camgraph_core.settings import Setting

_MOST_SECONDS = 1_000_000.0  # gRPC counts milliseconds in 31 bits


@dataclass(frozen=True, kw_only=True)
class WorkSettings:
    """How many requests are worked on, and how long they get."""

    workers: Annotated[
        int,
        Setting("Number of requests processed at the same time. 0 means the usable CPUs.", at_least=0, at_most=1024),
    ] = 0
    queue_capacity: Annotated[
        int, Setting("Number of requests that may wait. The server refuses further ones as UNAVAILABLE.", at_least=0)
    ] = 64
    grace: Annotated[
        float,
        Setting(
            "Seconds that requests in flight get to finish after SIGTERM or SIGINT.", at_least=0, at_most=_MOST_SECONDS
        ),
    ] = 30.0
