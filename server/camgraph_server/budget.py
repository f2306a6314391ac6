"""Memory that calls may hold together, counted in bytes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING

from camgraph_core.errors import UnavailableError

if TYPE_CHECKING:
    from camgraph_runtime.run.stop import Stop

_RETRY_AFTER = 1.0  # seconds
_MOMENT = 2 * _RETRY_AFTER  # so long a refusal says that memory is wanted


class Budget:
    """A number of bytes that is lent and given back: to clients in turn, and to each in the order in which it asked.

    Safe to use from several threads. The event loop waits with `lent_to_call`, a worker thread with `lent_to_thread`.

    Args:
        size: The bytes that there are.
        max_share: The part of them that one client may hold.
    """

    def __init__(self, size: int, max_share: float = 1.0) -> None:
        self.size = size
        self._max_share = max_share
        self._most_of_one = max(1, int(size * max_share))
        self._held = 0
        self._refused = -_MOMENT  # when somebody was refused last
        self._held_by: Counter[str] = Counter()
        self._waiting: dict[str, deque[tuple[int, Future[None]]]] = {}  # by client; whose turn it is stands first
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """Bytes that are lent now."""
        return self._held

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits, or was refused a moment ago."""
        return bool(self._waiting) or time.monotonic() - self._refused < _MOMENT

    async def lent_to_call(self, size: int, client: str = "") -> Share:
        """Waits for `size` bytes, at most what one client may hold, without blocking the event loop."""
        size = min(size, self._most_of_one)
        promise = self._ask(size, client)
        try:
            if not promise.done():  # else a wake-up of the event loop is saved
                await asyncio.wrap_future(promise)
        except asyncio.CancelledError:
            self._give_up(promise, size, client)
            raise
        return Share(self, size, client)

    @contextmanager
    def lent_to_thread(self, size: int, stop: Stop) -> Iterator[Share]:
        """Waits for `size` bytes, at most what one client may hold.

        Raises:
            StoppedError: `stop` ended the waiting.
        """
        size = min(size, self._most_of_one)
        stop.check()
        promise = self._ask(size, "")
        try:
            with stop.ending(promise.cancel):
                promise.result()
            stop.check()
        except BaseException:
            self._give_up(promise, size, "")
            stop.check()
            raise
        with Share(self, size) as share:
            yield share

    def resize(self, size: int) -> None:
        """Has so many bytes from now on. Who waits for more than that gets it when nobody else holds any."""
        with self._lock:
            self.size = size
            self._most_of_one = max(1, int(size * self._max_share))
            self._lend()

    def _ask(self, size: int, client: str) -> Future[None]:
        promise: Future[None] = Future()
        with self._lock:
            self._waiting.setdefault(client, deque()).append((size, promise))
            self._lend()
        return promise

    def _give_up(self, promise: Future[None], size: int, client: str) -> None:
        """Wants it no more, so that those behind need not wait for it."""
        if promise.cancel():  # also where it was cancelled before
            with self._lock:
                self._lend()
        else:  # it was lent in the same moment
            self._give_back(size, client)

    def _take_now(self, size: int, client: str) -> bool:
        with self._lock:
            if self._held + size > self.size:
                self._refused = time.monotonic()
                return False
            self._hold(size, client)
            return True

    def _give_back(self, size: int, client: str) -> None:
        with self._lock:
            self._hold(-size, client)
            self._lend()

    def _hold(self, size: int, client: str) -> None:
        self._held += size
        self._held_by[client] += size
        if not self._held_by[client]:
            del self._held_by[client]

    def _lend(self) -> None:
        while (client := self._next()) is not None:
            size, promise = self._waiting[client][0]
            if self._held and self._held + size > self.size:
                return
            if promise.set_running_or_notify_cancel():
                self._hold(size, client)
                promise.set_result(None)
            self._end_turn(client)

    def _next(self) -> str | None:
        """The client whose turn it is, without those that hold their share; what was given up is forgotten."""
        for client in list(self._waiting):
            while client in self._waiting and self._waiting[client][0][1].cancelled():
                self._end_turn(client, keeps_place=True)
            if client in self._waiting and self._may_hold(client, self._waiting[client][0][0]):
                return client
        return None

    def _may_hold(self, client: str, more: int) -> bool:
        """Whether a client may hold so many bytes more. If it holds none, it may: the budget may be smaller by now."""
        held = self._held_by[client]
        return not held or held + more <= self._most_of_one

    def _end_turn(self, client: str, *, keeps_place: bool = False) -> None:
        waiting = self._waiting[client]
        waiting.popleft()
        if not waiting:
            del self._waiting[client]
        elif not keeps_place:
            self._waiting[client] = self._waiting.pop(client)


class Share:
    """The part of a budget that one call holds, until it is closed or its context is left."""

    def __init__(self, budget: Budget, size: int = 0, client: str = "") -> None:
        self._budget = budget
        self._size = size
        self._client = client
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
            if self._is_over or not self._budget._take_now(size, self._client):
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
        if beyond:
            self._budget._give_back(beyond, self._client)

    def close(self) -> None:
        """Gives everything back, for good."""
        with self._lock:
            self._is_over = True
        self.shrink_to(0)

    def __enter__(self) -> Share:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
