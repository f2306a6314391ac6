"""Receives one message of a call, with a bound on the time that it may take."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from grpc.aio import ServicerContext

from camgraph_core.errors import DeadlineError, UnavailableError
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


async def receive(context: Context, patience: Patience, place: Budget) -> bytes | None:
    """Waits for the bytes of the next message; the slowest gives way where others wait for its place.

    Args:
        context: The call, whose handler takes bytes.
        patience: How long it may take.
        place: From what the caller holds its share.

    Returns:
        The bytes; None at the end of the stream.

    Raises:
        DeadlineError: It did not arrive in time.
        UnavailableError: It gave way.
    """
    reading, began = asyncio.ensure_future(context.read()), time.monotonic()
    try:
        while not (await asyncio.wait({reading}, timeout=_LOOK))[0]:
            waited = time.monotonic() - began
            if waited > patience.longest:
                raise DeadlineError(f"The request did not arrive within {patience.longest:.0f} s.")
            if waited > patience.in_need and place.is_wanted:
                raise UnavailableError(
                    "The request arrives so slowly that others cannot be received; send it again later.",
                    retry_after=patience.in_need,
                )
        data = reading.result()
    finally:
        reading.cancel()
    return None if data is grpc.aio.EOF else bytes(data)
