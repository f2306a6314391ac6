"""A run: processes that send together, and what they did together."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np

from camgraph_core.errors import CamgraphError, InferenceError
from camgraph_load.arrivals import shared_out
from camgraph_load.records import Records, Seconds, joined
from camgraph_load.sending import Sent, Task, send
from camgraph_load.usage import NONE, Usage, UsageWatch

_HEAD_START = 0.2  # seconds from "go" to the first call, so that every process has read it
_LOOK = 0.1  # seconds between looks at the counters

Progress = Callable[[float, int], None]
"""Told the seconds since the start and the answers so far."""


@dataclass(frozen=True)
class Outcome:
    """What all processes of a run did.

    Attributes:
        records: One row per call.
        lag: How late the clients' event loops were, in seconds, one number per look.
        cpu: CPU time per second of the busiest process: near 1, the client is what is measured.
        usage: What the server took meanwhile; empty where nobody looked.

    """

    records: Records
    lag: Seconds
    cpu: float
    usage: Usage


def run(task: Task, processes: int, progress: Progress | None = None, metrics_url: str | None = None) -> Outcome:
    """Shares a task out among new processes, runs it and gathers what they did.

    Args:
        task: What to do, as if one process did it all.
        processes: How many; the schedule and the callers are shared out among them.
        progress: Called a few times per second.
        metrics_url: Where the server tells its metrics.

    Raises:
        CamgraphError: A process could not reach the server, or ended early.

    """
    spawn = multiprocessing.get_context("spawn")  # a forked gRPC does not work
    parts = [_part(task, processes, number) for number in range(processes)]
    counters = [spawn.Value("L", 0, lock=False) for _ in parts]
    pipes = [spawn.Pipe() for _ in parts]
    workers = [
        spawn.Process(target=_work, args=(part, theirs, counter), daemon=True)
        for part, (_, theirs), counter in zip(parts, pipes, counters, strict=True)
    ]
    ours = [ours for ours, _ in pipes]
    with _started(workers), UsageWatch(metrics_url) if metrics_url else nullcontext() as watch:
        for pipe, worker in zip(ours, workers, strict=True):
            _received(pipe, worker)
        start = time.monotonic() + _HEAD_START
        for pipe in ours:
            pipe.send(start)
        while progress is not None and not all(pipe.poll(_LOOK / processes) for pipe in ours):
            progress(max(0.0, time.monotonic() - start), sum(counter.value for counter in counters))
        sent: list[Sent] = [_received(pipe, worker) for pipe, worker in zip(ours, workers, strict=True)]
    return Outcome(
        joined(part.records for part in sent),
        np.concatenate([part.lag for part in sent]),
        max(part.cpu for part in sent),
        NONE if watch is None else watch.since(start),
    )


def _part(task: Task, processes: int, number: int) -> Task:
    due = None if task.due is None else shared_out(task.due, processes, number)
    callers = len(range(number, task.callers, processes))
    return replace(task, process=number, due=due, callers=max(1, callers))


@contextmanager
def _started(workers: Sequence[BaseProcess]) -> Iterator[None]:
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def _received(pipe: Pipe, worker: BaseProcess) -> Any:
    while not pipe.poll(_LOOK):
        if not worker.is_alive() and not pipe.poll(0):
            raise InferenceError("A process that sends calls ended early. Use fewer calls, or more processes.")
    told = pipe.recv()
    if isinstance(told, CamgraphError):
        raise told
    return told


def _work(task: Task, pipe: Pipe, counter: Any) -> None:
    """The main function of a process."""

    def count() -> None:
        counter.value += 1

    def begin() -> float:
        pipe.send(None)
        start: float = pipe.recv()
        return start

    try:
        told: Sent | CamgraphError = asyncio.run(send(task, begin, count))
    except CamgraphError as error:
        told = error
    pipe.send(told)
