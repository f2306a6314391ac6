"""Receives one message of a call, with a bound on the time that it may take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from grpc.aio import ServicerContext

from camgraph_core.errors import DeadlineError, UnavailableError
from camgraph_server.budget import Budget
from camgraph_server.transport.waiting import bounded

Context: TypeAlias = ServicerContext[Any, Any]

IN_NEED = 5.0
"""Seconds that the other side gets, to send a message or to read a portion of one, while others wait for its memory."""

_MOMENT = 0.01  # seconds after the end of a stream in which gRPC ends the call, where its caller has gone


@dataclass(frozen=True)
class Arrival:
    """How long a message may take to arrive.

    Attributes:
        longest: Seconds, where nobody waits for its place.
    """

    longest: float

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
        if waited > IN_NEED and place.is_wanted:
            raise UnavailableError(
                "The request arrives so slowly that others cannot be received; send it again later.",
                retry_after=IN_NEED,
            )


async def receive(context: Context, check: Callable[[float], None]) -> bytes | None:
    """Waits for the bytes of the next message.

    Args:
        context: The call, whose handler takes bytes.
        check: Is called from time to time with the seconds that were waited; raises to end the wait.

    Returns:
        The bytes; None at the end of the stream.
    """
    return await bytes_of(await bounded(context.read(), check))


async def bytes_of(read: object) -> bytes | None:
    """The bytes that were read; None at the end of the stream.

    Raises:
        CancelledError: It looked like the end, but the caller has gone.
    """
    if isinstance(read, bytes):
        return read
    await asyncio.sleep(_MOMENT)
    return None
