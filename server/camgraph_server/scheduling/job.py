"""A piece of work for a worker thread, and what becomes of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any

from camgraph_runtime.run.stop import Stop


@dataclass(eq=False)
class Job:
    """A piece of work for a worker thread.

    Attributes:
        work: What to do, from ``stop``, which it looks at between its steps, and the seconds that it waited. It must
            not touch the event loop.
        deadline: Time on the clock of `time.monotonic` after which nobody waits for the result.
        on_hang: Called when the work does not end although it was asked to.
        client: Who sent it.
        stop: Asked to end when the caller has gone.
        submitted: When it came.
        result: What came of it.
        estimate: Seconds that it was expected to take when a worker took it.
        started: When a worker took it; None before.
        asked_at: When the watchdog first saw that it was asked to end.
        is_abandoned: Whether another thread has taken the place of the one that works on it.
    """

    work: Callable[[Stop, float], Any]
    deadline: float | None = None
    on_hang: Callable[[], None] = lambda: None
    client: str = ""
    stop: Stop = field(default_factory=Stop)
    submitted: float = field(default_factory=time.monotonic)
    result: Future[Any] = field(default_factory=Future)
    estimate: float = 0.0
    started: float | None = None
    asked_at: float | None = None
    is_abandoned: bool = False

    def succeed(self, value: object) -> None:
        """Gives the result to the caller, unless it was told something else before."""
        with contextlib.suppress(InvalidStateError):  # it was told before, in another thread
            self.result.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Gives an error to the caller, unless it was told something else before."""
        with contextlib.suppress(InvalidStateError):  # as above
            self.result.set_exception(error)
