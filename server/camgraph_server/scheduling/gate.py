"""The way in: calls in flight are counted, and once it is closed no further one comes in."""

from __future__ import annotations

import asyncio
import contextlib

from camgraph_core.errors import UnavailableError


class Gate:
    """Counts calls in flight, until their answers are written, and refuses new ones once it is closed."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._open = True
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def is_open(self) -> bool:
        """Whether calls come in."""
        return self._open

    def close(self) -> None:
        """Refuses all further calls."""
        self._open = False

    async def drained(self, timeout: float) -> bool:
        """Waits until no call is in flight; False if that took longer than `timeout` seconds."""
        with contextlib.suppress(TimeoutError):  # what is answered says so
            await asyncio.wait_for(self._idle.wait(), timeout)
        return self._idle.is_set()  # with no time at all, `wait_for` would not even look

    def enter(self) -> None:
        """Counts a call, until it leaves.

        Raises:
            UnavailableError: The gate is closed.
        """
        if not self._open:
            raise UnavailableError("The server is stopping; send the request again.")
        self.in_flight += 1
        self._idle.clear()

    def leave(self) -> None:
        """A call that has entered is over."""
        self.in_flight -= 1
        if self.in_flight == 0:
            self._idle.set()
