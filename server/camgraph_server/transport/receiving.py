"""Receives one message of a call, with a bound on the time that it may take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from grpc.aio import ServicerContext

from camgraph_core.errors import CamgraphError, DeadlineError, UnavailableError
from camgraph_server.budget import Budget

Context: TypeAlias = ServicerContext[Any, Any]

_LOOK = 0.5  # seconds between two looks at a message that is slow to arrive


@dataclass(frozen=True)
class Patience:
    """Seconds that a message may take to arrive.

    Attributes:
        longest: In any case.
        in_need: While others wait for its place.
    """

    longest: float
    in_need: float

    def check(self, place: Budget, waited: float) -> None:
        """Ends the wait for a message after so many seconds; the slowest gives way where others wait for its place.

        Args:
            place: From what the caller holds its share.
            waited: Seconds.

        Raises:
            DeadlineError: It did not arrive in time.
            UnavailableError: It gives way.
        """
        if waited > self.longest:
            raise DeadlineError(f"The request did not arrive within {self.longest:.0f} s.")
        if waited > self.in_need and place.is_wanted:
            raise UnavailableError(
                "The request arrives so slowly that others cannot be received; send it again later.",
                retry_after=self.in_need,
            )


async def receive(context: Context, check: Callable[[float], None]) -> bytes | None:
    """Waits for the bytes of the next message.

    Args:
        context: The call, whose handler takes bytes.
        check: Is called from time to time with the seconds that were waited; raises to end the wait.

    Returns:
        The bytes; None at the end of the stream.
    """
    looks = _Looks(check)
    try:
        async with asyncio.timeout(None) as limit:
            with looks.at(limit):
                data = await context.read()
    except TimeoutError:
        if looks.refusal is None:
            raise
        raise looks.refusal from None
    return None if data is grpc.aio.EOF else bytes(data)


class _Looks:
    """Looks from time to time whether a wait may go on. A timer costs the event loop less than a task would."""

    def __init__(self, check: Callable[[float], None]) -> None:
        self.refusal: CamgraphError | None = None
        self._check = check
        self._began = time.monotonic()

    @contextmanager
    def at(self, limit: asyncio.Timeout) -> Iterator[None]:
        """Ends the time of `limit` when a look refuses."""
        self._later(limit)
        try:
            yield
        finally:
            self._timer.cancel()

    def _later(self, limit: asyncio.Timeout) -> None:
        self._timer = asyncio.get_running_loop().call_later(_LOOK, self._look, limit)

    def _look(self, limit: asyncio.Timeout) -> None:
        try:
            self._check(time.monotonic() - self._began)
        except CamgraphError as refusal:
            self.refusal = refusal
            limit.reschedule(asyncio.get_running_loop().time())
        else:
            self._later(limit)
