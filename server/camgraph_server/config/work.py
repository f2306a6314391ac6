"""How many requests are worked on, and how long they get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from camgraph_core.settings import Setting

_MOST_SECONDS = 1_000_000.0  # gRPC counts milliseconds in 31 bits


@dataclass(frozen=True, kw_only=True)
class WorkSettings:
    """How many requests are worked on, and how long they get."""

    processes: Annotated[
        int,
        Setting(
            "Number of processes that serve the port together; each loads all models. A dead one is replaced.",
            at_least=1,
            at_most=256,
        ),
    ] = 1
    supervised: Annotated[
        bool,
        Setting(
            "Have a supervisor also for a single process. It starts another one when that ends, or when work in it "
            "does not end. Several processes always have one."
        ),
    ] = False
    workers: Annotated[
        int,
        Setting(
            "Number of requests that a process works on at the same time. 0 means its part of the usable CPUs.",
            at_least=0,
            at_most=1024,
        ),
    ] = 0
    queue_capacity: Annotated[
        int,
        Setting(
            "Number of requests that may wait in a process. Further ones are refused as UNAVAILABLE.",
            at_least=0,
            at_most=1_000_000,
        ),
    ] = 64
    max_stream_items: Annotated[
        int,
        Setting(
            "Number of requests of one stream that are in flight. Further ones wait in the client.",
            at_least=1,
            at_most=1024,
        ),
    ] = 16
    max_client_streams: Annotated[
        int,
        Setting(
            "Number of streams that one client may have open in a process. 0 means half of those that there is memory "
            "for.",
            at_least=0,
            at_most=1_000_000,
        ),
    ] = 0
    run_timeout: Annotated[
        float,
        Setting(
            "Seconds that a worker may work on one request. After that its caller gets DEADLINE_EXCEEDED.",
            above=0,
            at_most=_MOST_SECONDS,
        ),
    ] = 300.0
    hang_timeout: Annotated[
        float,
        Setting(
            "Seconds that work may go on after it was asked to end. After that the process is replaced, if it has a "
            "supervisor; otherwise the worker is, and if the graph was running, the model fails.",
            above=0,
            at_most=_MOST_SECONDS,
        ),
    ] = 30.0
    max_client_share: Annotated[
        float,
        Setting(
            "Part of the waiting places and of the memory for requests that one client may take, also where no other "
            "wants them: 0.5 is half.",
            above=0,
            at_most=1,
        ),
    ] = 1.0
    grace: Annotated[
        float,
        Setting(
            "Seconds that requests in flight get to finish after SIGTERM or SIGINT.", at_least=0, at_most=_MOST_SECONDS
        ),
    ] = 30.0

    @property
    def has_supervisor(self) -> bool:
        """Whether another process starts this one again."""
        return self.supervised or self.processes > 1
