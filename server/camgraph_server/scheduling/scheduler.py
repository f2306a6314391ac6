"""Worker threads and the queue before them, for what blocks: decoding pictures, inference, drawing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from camgraph_core.errors import CamgraphError, ExpiredError, OverLimitError, UnavailableError
from camgraph_runtime.run.stop import Stop
from camgraph_server.scheduling.fair_queue import FairQueue
from camgraph_server.scheduling.job import Job
from camgraph_server.scheduling.watchdog import Patience, Watchdog

T = TypeVar("T")

_NEWEST = 0.1  # weight of the newest job in the average of their times
_SHORTEST_RETRY = 0.05  # seconds
_CAUTION = 1.25  # jobs differ, and an answer has to be written, too
_HARDLY = 0.05  # seconds; who waited no longer is tried however little time is left
_STOPPING = "The server is stopping; send the request again."


class Scheduler:
    """Runs at most `workers` jobs at once and lets at most `queue_capacity` more wait; see `FairQueue` for their order.

    What cannot end before its deadline is refused when it comes, and dropped when a worker takes it. What is cancelled
    leaves the queue at once, with all that it holds; what runs is asked to stop. A worker whose job does not stop is
    replaced: see `Watchdog`.

    Args:
        workers: Number of threads.
        queue_capacity: Jobs that may wait.
        patience: How long a job may run.
        max_share: The part of these places that one client may have.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        workers: int,
        queue_capacity: int,
        patience: Patience | None = None,
        max_share: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.workers = workers
        self.queue_capacity = queue_capacity
        self._max_share = max_share
        self._clock = clock
        self._full = (
            f"The server is at its limit of {workers} running and {queue_capacity} waiting requests; send the request "
            "again in a moment."
        )
        self._waiting: FairQueue[Job] = FairQueue()
        self._running: set[Job] = set()
        self._mean = 0.0  # seconds that a job runs
        self._is_open = True
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        for _ in range(workers):
            self._start_worker()
        self._watchdog = Watchdog(patience or Patience(), self._running_now, self._replace_worker)

    @property
    def admitted(self) -> int:
        """Jobs that wait or run."""
        return len(self._waiting) + len(self._running)

    @property
    def jobs(self) -> dict[str, int]:
        """How many jobs wait and how many run."""
        return {"waiting": len(self._waiting), "running": len(self._running)}

    def check(self, deadline: float | None, client: str = "") -> None:
        """Tells whether a job that came now would be taken.

        Raises:
            UnavailableError: It would not: the server stops, the queue is full, or the deadline is too near.
            OverLimitError: It would not: the client has its share of the places.
        """
        with self._changed:
            if not self._is_open:
                raise UnavailableError(_STOPPING)
            wait = self._expected_wait(client)
            self._check_share(client, wait)
            if self._is_full and self._waiting.greediest(than=client) is None:
                raise UnavailableError(self._full, retry_after=max(wait, _SHORTEST_RETRY))
            if deadline is not None and wait > 0 and self._clock() + _CAUTION * (wait + self._mean) > deadline:
                raise UnavailableError(
                    f"The request would wait {wait:.1f} s and not be answered before its deadline; send it again with "
                    "more time, or in a moment.",
                    retry_after=max(wait, _SHORTEST_RETRY),
                )

    async def run(
        self,
        work: Callable[[Stop, float], T],
        deadline: float | None = None,
        on_hang: Callable[[], None] = lambda: None,
        client: str = "",
    ) -> T:
        """Does a piece of work on a worker thread; if the caller is cancelled, so is the work. See `Job`.

        Raises:
            UnavailableError: See `check`.
            OverLimitError: See `check`; or others came who had fewer in a queue that is full.
            ExpiredError: The deadline passed in the queue, or would pass before the end.
            DeadlineError: The work took longer than the server allows.
        """
        job = Job(work, deadline, on_hang, client, submitted=self._clock())
        with self._changed:
            self.check(deadline, client)
            displaced = self._displaced_by(job) if self._is_full else None
            self._waiting.add(job)
            self._changed.notify()
        if displaced is not None:
            _refuse(displaced, self._over_share(displaced.client))
            del displaced
        try:
            result: T = await asyncio.wrap_future(job.result)
        except asyncio.CancelledError:
            self._drop(job)
            raise
        finally:
            del job  # an error's traceback holds this frame, and would be held by the job
        return result

    def close(self, patience: float) -> bool:
        """Refuses what comes, drops what waits, asks what runs to stop.

        Args:
            patience: Seconds that the running jobs get to stop.

        Returns:
            True if all threads have ended.
        """
        with self._changed:
            self._is_open = False
            waiting, self._waiting = list(self._waiting), FairQueue()
            running = list(self._running)
            self._changed.notify_all()
        self._watchdog.close()
        for job in waiting:
            _refuse(job, UnavailableError(_STOPPING))
        for job in running:
            job.stop.ask()
        end = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def _is_full(self) -> bool:
        return self.admitted >= self.workers + self.queue_capacity

    def _check_share(self, client: str, wait: float) -> None:
        if self._max_share == 1.0:
            return
        own = self._waiting.waiting_of(client)
        if own >= max(1.0, self._max_share * self.queue_capacity):
            raise OverLimitError(
                f"You have {own} requests waiting, which is your share of the server; wait for an answer.",
                max(wait, _SHORTEST_RETRY),
            )

    def _displaced_by(self, job: Job) -> Job | None:
        """Takes a job out of the full queue for one of a client that has fewer there."""
        displaced = self._waiting.greediest(than=job.client)
        if displaced is not None:
            self._waiting.remove(displaced)
        return displaced

    def _over_share(self, client: str) -> OverLimitError:
        return OverLimitError(
            f"You have more requests waiting than your share of {self.queue_capacity} places while others wait, too; "
            "send fewer at once.",
            max(self._expected_wait(client), _SHORTEST_RETRY),
        )

    def _expected_wait(self, client: str) -> float:
        """Seconds until a worker is free for a job that comes now; those that run are half done on average."""
        if self.admitted < self.workers:
            return 0.0
        return self._mean * (self._waiting.ahead_of(client) + len(self._running) / 2) / self.workers

    def _drop(self, job: Job) -> None:
        with self._changed:
            self._waiting.remove(job)
        job.stop.ask()

    def _start_worker(self) -> None:
        number = len(self._threads)
        thread = threading.Thread(target=self._work, name=f"camgraph-worker-{number}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _running_now(self) -> list[Job]:
        with self._changed:
            return list(self._running)

    def _replace_worker(self, job: Job) -> bool:
        """Gives the place of a job's thread to another one; False if the job has just ended."""
        with self._changed:
            if job not in self._running:
                return False
            self._running.discard(job)
            self._charge(job)
            job.is_abandoned = True
            self._start_worker()
            return True

    def _work(self) -> None:
        while (job := self._next()) is not None:
            started = job.started = self._clock()
            try:
                self._check_time(job, started)
                settle = partial(job.succeed, job.work(job.stop, started - job.submitted))
            except BaseException as error:  # whatever happened, the caller hears of it and the thread lives on
                settle = partial(job.fail, error)
            self._leave(job, started)  # before the caller hears of it, who may come again at once
            settle()
            if job.is_abandoned:  # another thread has this one's place
                return
            del job, settle  # a thread that waits must not hold the last request's memory

    def _next(self) -> Job | None:
        """Waits for a job whose caller is still there; None when the scheduler is closed."""
        with self._changed:
            while self._is_open:
                while self._waiting:
                    job = self._waiting.take(self._mean)
                    job.estimate = self._mean
                    if job.result.set_running_or_notify_cancel():
                        self._running.add(job)
                        return job
                self._changed.wait()
        return None

    def _check_time(self, job: Job, now: float) -> None:
        """Drops what cannot end in time."""
        waited = now - job.submitted
        needed = self._mean if waited > _HARDLY else 0.0
        if job.deadline is not None and now + needed >= job.deadline:
            job.stop.ask()
            raise ExpiredError(
                f"The request waited {waited:.1f} s for a worker, and too little time was left before its deadline."
            )

    def _leave(self, job: Job, started: float) -> None:
        with self._changed:
            self._running.discard(job)
            if not job.is_abandoned:
                self._charge(job)
            if not job.stop.asked:  # what was dropped or stopped says nothing of how long work takes
                self._mean += (self._clock() - started - self._mean) * (_NEWEST if self._mean else 1.0)

    def _charge(self, job: Job) -> None:
        """Counts the time that a worker spent on a job, in place of what was expected."""
        if job.started is not None:
            self._waiting.charge(job.client, self._clock() - job.started - job.estimate)


def _refuse(job: Job, error: CamgraphError) -> None:
    if job.result.set_running_or_notify_cancel():
        job.result.set_exception(error)
