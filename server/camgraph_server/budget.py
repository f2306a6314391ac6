"""Memory that calls may hold together, counted in bytes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from camgraph_core.errors import UnavailableError

_RETRY_AFTER = 1.0  # seconds
_MOMENT = 2 * _RETRY_AFTER  # so long a refusal says that memory is wanted


class Budget:
    """A number of bytes that is lent and given back; who comes first is served first.

    Safe to use from several threads. The event loop waits with `lent_to_call`, a worker thread with `lent_to_thread`.

    Args:
        size: The bytes that there are.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._held = 0
        self._refused = -_MOMENT  # when somebody was refused last
        self._waiting: deque[tuple[int, Future[None]]] = deque()
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """Bytes that are lent now."""
        return self._held

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits, or was refused a moment ago."""
        return bool(self._waiting) or time.monotonic() - self._refused < _MOMENT

    async def lent_to_call(self, size: int) -> Share:
        """Waits for `size` bytes, at most the whole budget, without blocking the event loop."""
        size = min(size, self.size)
        promise = self._ask(size)
        try:
            if not promise.done():  # else a wake-up of the event loop is saved
                await asyncio.wrap_future(promise)
        except asyncio.CancelledError:
            if not promise.cancel():  # it was lent in the same moment
                self._give_back(size)
            raise
        return Share(self, size)

    @contextmanager
    def lent_to_thread(self, size: int) -> Iterator[Share]:
        """Waits for `size` bytes, at most the whole budget."""
        size = min(size, self.size)
        self._ask(size).result()
        with Share(self, size) as share:
            yield share

    def _ask(self, size: int) -> Future[None]:
        promise: Future[None] = Future()
        with self._lock:
            self._waiting.append((size, promise))
            self._lend()
        return promise

    def _take_now(self, size: int) -> bool:
        with self._lock:
            if self._held + size > self.size:
                self._refused = time.monotonic()
                return False
            self._held += size
            return True

    def _give_back(self, size: int) -> None:
        with self._lock:
            self._held -= size
            self._lend()

    def _lend(self) -> None:
        while self._waiting:
            size, promise = self._waiting[0]
            if not promise.cancelled():
                if self._held + size > self.size:
                    return
                if promise.set_running_or_notify_cancel():
                    self._held += size
                    promise.set_result(None)
            self._waiting.popleft()


class Share:
    """The part of a budget that one call holds, until it is closed or its context is left."""

    def __init__(self, budget: Budget, size: int = 0) -> None:
        self._budget = budget
        self._size = size
        self._is_over = False
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return self._size

    def grow(self, size: int) -> None:
        """Takes so many bytes more, or none.

        Raises:
            UnavailableError: They are not there now, or the call is over.
        """
        with self._lock:
            if self._is_over or not self._budget._take_now(size):
                raise UnavailableError(
                    "The server is busy writing answers that are read slowly; send the request again in a moment.",
                    retry_after=_RETRY_AFTER,
                )
            self._size += size

    def shrink_to(self, size: int) -> None:
        """Gives back what is beyond `size`."""
        with self._lock:
            beyond = max(0, self._size - size)
            self._size -= beyond
        self._budget._give_back(beyond)

    def close(self) -> None:
        """Gives everything back, for good."""
        with self._lock:
            self._is_over = True
        self.shrink_to(0)

    def __enter__(self) -> Share:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
