"""Looks after jobs that do not end. A thread cannot be ended from outside, so its place is given to another one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from camgraph_core.errors import DeadlineError
from camgraph_server.observe.log import log_event
from camgraph_server.scheduling.job import Job

_LOOK = 0.5  # seconds between two looks, or less where the patience is short
_log = logging.getLogger("camgraph.watchdog")


@dataclass(frozen=True)
class Patience:
    """How long a job may run.

    Attributes:
        run: Seconds after which it is asked to end, and its caller is told.
        end: Seconds that it may go on after it was asked to end, by whomever.
    """

    run: float = 300.0
    end: float = 30.0


class Watchdog:
    """A thread that looks at the running jobs from time to time.

    Args:
        patience: How long they may run.
        running: Gives the jobs that run.
        replace: Gives the place of a job's thread to another thread; False if the job has just ended.
    """

    def __init__(self, patience: Patience, running: Callable[[], list[Job]], replace: Callable[[Job], bool]) -> None:
        self._patience = patience
        self._running = running
        self._replace = replace
        self._is_closed = threading.Event()
        threading.Thread(target=self._watch, name="camgraph-watchdog", daemon=True).start()

    def close(self) -> None:
        """Looks no more."""
        self._is_closed.set()

    def _watch(self) -> None:
        while not self._is_closed.wait(min(_LOOK, self._patience.run, self._patience.end)):
            now = time.monotonic()
            for job in self._running():
                self._look_at(job, now)

    def _look_at(self, job: Job, now: float) -> None:
        if job.started is not None and now - job.started > self._patience.run and not job.stop.asked:
            job.fail(DeadlineError(f"The request took longer than {self._patience.run:g} s, the limit of this server."))
            job.stop.ask()
        if job.stop.asked:
            job.asked_at = job.asked_at or now
            if now - job.asked_at > self._patience.end and self._replace(job):
                log_event(_log, logging.ERROR, "work does not end, its thread was replaced", seconds=now - job.asked_at)
                job.on_hang()
