"""Requests drawn at random, for a number of them or for a time: no fault of the server's, and nothing that grows."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np

from chaos.drawn import Draw
from chaos.herd import OWN_CONNECTION
from support.http2 import CALL
from support.serving import ServerProcess, server_process

_CALLERS = 8
_CANCELLED = 0.02  # share of calls whose caller leaves
_REACHES_A_WORKER = "queue_ms="  # in the log's line of a call


@dataclass
class Sample:
    """What the process had at one moment: seconds since the start, MiB of memory, descriptors, threads."""

    seconds: float
    memory: float
    descriptors: int
    threads: int

    @classmethod
    def of(cls, pid: int, began: float) -> Sample:
        """Now."""
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines())
        return cls(
            time.monotonic() - began,
            int(status["VmRSS"].split()[0]) / 1024,
            len(list(Path(f"/proc/{pid}/fd").iterdir())),
            int(status["Threads"]),
        )


@dataclass
class Outcome:
    """What came of a run.

    Attributes:
        codes: How often each status came.
        reached: Calls that reached a worker.
        samples: What the process had, from time to time.
    """

    codes: Counter[str] = field(default_factory=Counter)
    reached: int = 0
    samples: list[Sample] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """Memory of the last tenth by that of the second tenth."""
        tenth = max(1, len(self.samples) // 10)
        early, late = self.samples[tenth : 2 * tenth] or self.samples[:1], self.samples[-tenth:]
        return float(np.median([each.memory for each in late]) / np.median([each.memory for each in early]))

    def slopes(self) -> dict[str, float]:
        """What memory (MiB), descriptors and threads would grow by in an hour, by the second half of the run."""
        half = self.samples[len(self.samples) // 2 :]
        hours = [each.seconds / 3600 for each in half]
        return {
            name: float(np.polyfit(hours, [getattr(each, name) for each in half], 1)[0])
            for name in ("memory", "descriptors", "threads")
        }

    def problems(self) -> list[str]:
        """What must not be."""
        total = sum(self.codes.values())
        wrong = {name: count for name, count in self.codes.items() if name in {"INTERNAL", "UNKNOWN", "UNAVAILABLE"}}
        found = [f"faults of the server: {wrong}"] if wrong else []
        if 3 * self.reached < total:
            found.append(f"only {self.reached} of {total} calls came behind the checks")
        if self.growth > 1.2:
            found.append(f"memory rose to {self.growth:.2f} times")
        for name in ("descriptors", "threads"):
            values = [getattr(each, name) for each in self.samples[len(self.samples) // 2 :]]
            if np.mean(values[len(values) // 2 :]) > np.mean(values[: len(values) // 2 + 1]) + 4:
                found.append(f"{name} rise: {values[0]} to {values[-1]}")
        return found


async def run(repository: Path, seed: int, goes_on: Callable[[Outcome, float], bool], every: float) -> Outcome:
    """Sends requests.

    Args:
        repository: The models; one is called tiny.
        seed: Of the requests.
        goes_on: Whether to send one more, by what came so far and the seconds since the start.
        every: Seconds between two samples.
    """
    outcome, began = Outcome(), time.monotonic()
    with server_process(repository) as server:
        reader = threading.Thread(target=_count_reached, args=(server, outcome))
        reader.start()
        sampling = asyncio.ensure_future(_sample(server.process.pid, began, outcome, every))
        async with asyncio.TaskGroup() as group:
            for caller in range(_CALLERS):
                draw = Draw(seed + caller)
                group.create_task(
                    _call(server.address, draw, lambda: goes_on(outcome, time.monotonic() - began), outcome)
                )
        sampling.cancel()
        outcome.samples.append(Sample.of(server.process.pid, began))
        server.process.terminate()
        await asyncio.to_thread(reader.join)
    return outcome


async def _call(address: str, draw: Draw, goes_on: Callable[[], bool], outcome: Outcome) -> None:
    leaves = np.random.default_rng(0)
    async with grpc.aio.insecure_channel(address, OWN_CONNECTION) as channel:
        explain = channel.unary_unary(CALL)
        while goes_on():
            try:
                call = explain(draw.request(), timeout=60)
                if leaves.random() < _CANCELLED:
                    await asyncio.sleep(0.002)
                    call.cancel()
                await call
                outcome.codes["OK"] += 1
            except grpc.RpcError as error:
                outcome.codes[error.code().name] += 1
            except asyncio.CancelledError:
                outcome.codes["CANCELLED"] += 1


async def _sample(pid: int, began: float, outcome: Outcome, every: float) -> None:
    while True:
        outcome.samples.append(Sample.of(pid, began))
        await asyncio.sleep(every)


def _count_reached(server: ServerProcess, outcome: Outcome) -> None:
    assert server.process.stderr is not None
    for line in server.process.stderr:
        outcome.reached += _REACHES_A_WORKER in line
