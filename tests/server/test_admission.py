"""Who is admitted, and who is still worked for, by how long jobs take and how near a deadline is.

The clock is turned by hand, so that every number of seconds is known.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import pytest

from camgraph_core.errors import ExpiredError, UnavailableError
from camgraph_runtime.run.stop import Stop
from camgraph_server.scheduling.job import Job
from camgraph_server.scheduling.scheduler import Scheduler
from support.serving import PATIENCE
from support.workers import until

MEAN = 2.0
"""Seconds that the first job takes, so that others are expected to take as long."""
A_BIT = 0.01


class Clock:
    """Seconds that go on only when they are told to."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now

    def takes(self, seconds: float, then: Callable[[], object] = lambda: None) -> Callable[[Stop, float], None]:
        """Work that takes so long."""

        def work(_: Stop, __: float) -> None:
            self.now += seconds
            then()

        return work


class Held:
    """Work that goes on until it is released."""

    def __init__(self) -> None:
        self.release = threading.Event()

    def __call__(self, _: Stop, __: float) -> None:
        assert self.release.wait(PATIENCE)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@contextmanager
def scheduler_of(clock: Clock, workers: int = 1, capacity: int = 20) -> Iterator[Scheduler]:
    scheduler = Scheduler(workers, capacity, clock=clock)
    yield scheduler
    assert scheduler.close(PATIENCE)


@asynccontextmanager
async def busy(clock: Clock, workers: int, waiting: int, capacity: int = 20) -> AsyncIterator[Scheduler]:
    """A scheduler whose workers have just begun with jobs, and where so many wait; one has taken `MEAN` seconds."""
    held = Held()
    with scheduler_of(clock, workers, capacity) as scheduler:
        await scheduler.run(clock.takes(MEAN))
        calls = [asyncio.ensure_future(scheduler.run(held)) for _ in range(workers + waiting)]
        await until(lambda: scheduler.jobs == {"running": workers, "waiting": waiting})
        yield scheduler
        held.release.set()
        await asyncio.gather(*calls)


BUSY = [(1, 0, 1.0), (1, 2, 5.0), (2, 0, 1.0), (2, 3, 4.0)]
"""Workers, jobs that wait, and seconds until a further job begins: those that run are half done on average."""


@pytest.mark.parametrize(("workers", "waiting", "wait"), BUSY)
async def test_who_could_just_be_answered_in_time_is_admitted(clock, workers, waiting, wait):
    async with busy(clock, workers, waiting) as scheduler:
        needed = 1.25 * (wait + MEAN)  # with a quarter more, as jobs differ
        scheduler.check(clock.now + needed + A_BIT)
        with pytest.raises(UnavailableError, match=f"would wait {wait:.1f} s") as caught:
            scheduler.check(clock.now + needed - A_BIT)
        assert caught.value.retry_after == pytest.approx(wait)


@pytest.mark.parametrize(("workers", "waiting", "wait"), BUSY)
async def test_a_full_queue_says_when_there_is_a_place(clock, workers, waiting, wait):
    async with busy(clock, workers, waiting, capacity=waiting) as scheduler:
        with pytest.raises(UnavailableError, match=f"{workers} running and {waiting} waiting") as caught:
            scheduler.check(None)
        assert caught.value.retry_after == pytest.approx(wait)


async def test_who_finds_a_worker_free_is_tried_however_little_time_is_left(clock):
    with scheduler_of(clock) as scheduler:
        await scheduler.run(clock.takes(MEAN))
        scheduler.check(clock.now + A_BIT)
        await scheduler.run(clock.takes(0.0), clock.now + A_BIT)
        with pytest.raises(ExpiredError, match=r"waited 0\.0 s"):
            await scheduler.run(clock.takes(0.0), clock.now)


@pytest.mark.parametrize("spare", [A_BIT, -A_BIT])
async def test_a_worker_drops_what_cannot_end_in_time(clock, spare):
    held, done, waited = Held(), list[str](), 10.0
    with scheduler_of(clock) as scheduler:
        await scheduler.run(clock.takes(MEAN))
        first = asyncio.ensure_future(scheduler.run(held))
        await until(lambda: scheduler.jobs["running"] == 1)
        mean = MEAN + 0.1 * (waited - MEAN)  # when the first has ended
        second = asyncio.ensure_future(
            scheduler.run(clock.takes(0.0, partial(done.append, "second")), clock.now + waited + mean + spare)
        )
        await until(lambda: scheduler.jobs["waiting"] == 1)
        clock.now += waited
        held.release.set()
        await first
        if spare < 0:
            with pytest.raises(ExpiredError, match=r"waited 10\.0 s for a worker"):
                await second
        else:
            await second
        assert done == (["second"] if spare > 0 else [])


async def test_what_was_given_up_says_nothing_of_how_long_jobs_take(clock):
    held = Held()
    with scheduler_of(clock, capacity=0) as scheduler:
        await scheduler.run(clock.takes(MEAN))
        call = asyncio.ensure_future(scheduler.run(held))
        await until(lambda: scheduler.jobs["running"] == 1)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        with pytest.raises(UnavailableError) as caught:  # it still has its worker
            scheduler.check(None)
        clock.now += 1000 * MEAN
        held.release.set()
        await until(lambda: scheduler.admitted == 0)
        held.release.clear()
        again = asyncio.ensure_future(scheduler.run(held))
        await until(lambda: scheduler.jobs["running"] == 1)
        with pytest.raises(UnavailableError) as later:
            scheduler.check(None)
        assert later.value.retry_after == caught.value.retry_after == pytest.approx(MEAN / 2)
        held.release.set()
        await again


async def test_who_is_given_up_is_asked_to_stop(clock):
    stops: list[Stop] = []
    held = Held()

    def work(stop: Stop, waited: float) -> None:
        stops.append(stop)
        held(stop, waited)

    with scheduler_of(clock) as scheduler:
        call = asyncio.ensure_future(scheduler.run(work))
        await until(lambda: len(stops) == 1)
        assert not stops[0].asked
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert stops[0].asked
        held.release.set()


async def test_a_place_is_free_before_the_answer_is_told(clock, monkeypatch):
    seen: list[int] = []
    with scheduler_of(clock, capacity=0) as scheduler:
        for name in ("succeed", "fail"):
            tell = getattr(Job, name)

            def noting(job: Job, told: object, tell: Callable[[Job, object], None] = tell) -> None:
                seen.append(scheduler.admitted)
                tell(job, told)

            monkeypatch.setattr(Job, name, noting)
        await scheduler.run(clock.takes(0.0))
        with pytest.raises(ZeroDivisionError):
            await scheduler.run(lambda _, __: 1 / 0)
    assert seen == [0, 0]


async def test_clients_are_charged_for_the_time_that_their_jobs_took(clock):
    held, order = Held(), list[str]()
    with scheduler_of(clock) as scheduler:
        first = asyncio.ensure_future(scheduler.run(held, client="first"))
        await until(lambda: scheduler.jobs["running"] == 1)
        calls = [
            asyncio.ensure_future(scheduler.run(clock.takes(seconds, partial(order.append, client)), client=client))
            for client, count, seconds in (("slow", 3, 9.0), ("quick", 9, 1.0))
            for _ in range(count)
        ]
        await until(lambda: scheduler.jobs["waiting"] == 12)
        held.release.set()
        await asyncio.gather(first, *calls)
    assert order[:9].count("slow") == 1
