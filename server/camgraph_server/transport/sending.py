"""Writes answers as fast as their callers read them; who does not read loses the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc
from grpc import StatusCode

from camgraph_core.errors import CamgraphError, DeadlineError
from camgraph_server.budget import Budget
from camgraph_server.call import Call
from camgraph_server.transport.connections import HangUps
from camgraph_server.transport.receiving import IN_NEED, Context
from camgraph_server.transport.waiting import Looks

_PORTION = 16 * 1024 * 1024
"""Bytes for which a caller gets the whole time once more."""


class Reading:
    """How long callers may take to read their answers.

    Args:
        patience: Seconds for an answer, and once more for each portion of it.
        memory: Memory of answers.
    """

    def __init__(self, patience: float, memory: Budget) -> None:
        self._patience = patience
        self._memory = memory

    def check_of(self, size: int) -> Callable[[float], None]:
        """A check of the seconds that an answer of so many bytes has taken; it raises `DeadlineError`."""
        portions = 1 + size / _PORTION

        def check(waited: float) -> None:
            in_need = self._memory.is_wanted and waited > portions * IN_NEED
            if in_need or waited > portions * self._patience:
                raise DeadlineError(f"The answer was not read within {waited:.0f} s.")

        return check


class Sending:
    """Writes answers.

    An answer that is not read cannot be taken back from gRPC, which holds its bytes until the connection ends. So the
    connection is closed.

    Args:
        reading: How long callers may take.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._hang_ups = HangUps()

    def watch(self, context: Context, call: Call, data: bytes) -> None:
        """Looks after an answer that gRPC writes when the way of this call, whose task this is, has ended."""
        task = asyncio.current_task()
        assert task is not None, "it runs in a task"
        looks = self._looks(call, data, task.cancel)
        looks.start()
        context.add_done_callback(looks.stop)  # type: ignore[arg-type]  # the stubs ask for a class of their own

    async def write(self, context: Context, call: Call, data: bytes) -> None:
        """Waits until gRPC has written an answer.

        Raises:
            CancelledError: Its caller has gone, or did not read it in time: then the connection is closed.
        """
        with self._looks(call, data):
            try:
                await context.write(data)
            except grpc.aio.BaseError:  # gRPC's own: it was not read in time, or its caller has gone
                raise asyncio.CancelledError from None

    def _looks(self, call: Call, data: bytes, *further: Callable[[], object]) -> Looks:
        def give_up(refusal: CamgraphError) -> None:
            call.status, call.reason = StatusCode.DEADLINE_EXCEEDED.name, str(refusal)
            for end in further:
                end()
            self._hang_ups.add(call.peer)

        return Looks(self._reading.check_of(len(data)), give_up)
