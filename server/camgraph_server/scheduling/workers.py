"""Worker threads with bounded admission, for what blocks: decoding, inference, encoding."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from camgraph_core.errors import ExpiredError, UnavailableError

T = TypeVar("T")


class WorkerPool:
    """Runs at most `workers` calls at once and lets at most `queue_capacity` more wait.

    A call whose caller has gone, or whose deadline has passed, is dropped before its work begins.
    """

    def __init__(self, workers: int, queue_capacity: int) -> None:
        self.workers = workers
        self.queue_capacity = queue_capacity
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="camgraph-worker")
        self._admitted = 0
        self._lock = threading.Lock()

    async def run(self, work: Callable[[float], T], deadline: float | None = None) -> T:
        """Calls `work(waited)` on a worker thread, where `waited` is the time in the queue in seconds.

        Args:
            work: the call; it must not touch the event loop.
            deadline: time on the clock of `time.monotonic` after which the work need not begin.

        Raises:
            UnavailableError: workers and queue are full.
            ExpiredError: the deadline passed in the queue.
        """
        self._admit()
        try:
            future = self._executor.submit(_start, work, time.monotonic(), deadline)
        except RuntimeError as error:  # the executor has been shut down
            self._leave()
            raise UnavailableError("The server is stopping; send the request again.") from error
        future.add_done_callback(self._leave)  # fires when cancelled in the queue, too
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Drops what waits and blocks until what runs has ended."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _admit(self) -> None:
        with self._lock:
            if self._admitted >= self.workers + self.queue_capacity:
                raise UnavailableError(
                    f"The server is at its limit of {self.workers} running and {self.queue_capacity} waiting "
                    "requests; send the request again in a moment."
                )
            self._admitted += 1

    def _leave(self, _: Future[T] | None = None) -> None:
        with self._lock:
            self._admitted -= 1


def _start(work: Callable[[float], T], submitted: float, deadline: float | None) -> T:
    now = time.monotonic()
    if deadline is not None and now >= deadline:
        raise ExpiredError(f"The deadline passed while the request waited {now - submitted:.1f} s for a worker.")
    return work(now - submitted)
