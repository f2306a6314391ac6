"""The one thread that changes the models: it loads them, looks for changes of their files, does what is asked."""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from camgraph_core.errors import UnavailableError
from camgraph_server.observe.log import log_event

T = TypeVar("T")

_MOST_WAITING = 100
_IDLE = 5.0  # seconds without work after which it rests
_STOPPING = "The server is stopping; its models stay as they are."
_log = logging.getLogger("camgraph.repository")


class Keeper:
    """A thread that does one thing after the other, and looks for changes between.

    Args:
        look: Looks for changes.
        interval: Seconds between two looks; 0 means that it never looks.
        rest: Called when nobody has asked for anything for a while.
    """

    def __init__(self, look: Callable[[], None], interval: float, rest: Callable[[], None]) -> None:
        self._look = look
        self._interval = interval
        self._rest = rest
        self._asked: queue.Queue[tuple[Callable[[], Any], Future[Any]] | None] = queue.Queue()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="camgraph-models", daemon=True)
        self._has_started = False
        self._lock = threading.Lock()

    def ask(self, work: Callable[[], T]) -> Future[T]:
        """Has something done as soon as possible. What still waits when the thread is stopped fails as unavailable.

        Raises:
            UnavailableError: Too much waits already, or the server stops.
        """
        result: Future[T] = Future()
        with self._lock:  # what is taken is before the end that `stop` puts behind it
            if self._is_stopping:
                raise UnavailableError(_STOPPING)
            if self._asked.qsize() >= _MOST_WAITING:
                text = f"{_MOST_WAITING} changes of models wait already; try again later."
                raise UnavailableError(text, retry_after=1.0)
            self._asked.put((work, result))
            if not self._has_started:
                self._has_started = True
                self._thread.start()
        return result

    def stop(self, patience: float) -> bool:
        """Ends the thread after what it does now.

        Args:
            patience: Seconds that it gets.

        Returns:
            True if it has ended.
        """
        with self._lock:
            self._is_stopping = True
            self._asked.put(None)
        if self._has_started:
            self._thread.join(patience)
        return not self._thread.is_alive()

    def _run(self) -> None:
        next_look = time.monotonic() + (self._interval or math.inf)
        while not self._is_stopping:
            try:
                asked = self._asked.get(timeout=max(0.0, min(_IDLE, next_look - time.monotonic())))
            except queue.Empty:
                if time.monotonic() >= next_look:
                    self._look_for_changes()
                    next_look = time.monotonic() + self._interval
                self._rest()
            else:
                if asked is not None:
                    _do(*asked)
        while not self._asked.empty():
            left = self._asked.get()
            if left is not None and left[1].set_running_or_notify_cancel():
                left[1].set_exception(UnavailableError(_STOPPING))

    def _look_for_changes(self) -> None:
        try:
            self._look()
        except Exception:  # the next look may go better, and calls are served meanwhile
            log_event(_log, logging.ERROR, "unexpected error while looking for changes", trace=True)


def _do(work: Callable[[], T], result: Future[T]) -> None:
    if not result.set_running_or_notify_cancel():
        return
    try:
        result.set_result(work())
    except BaseException as error:  # it belongs to who asked
        result.set_exception(error)
