"""Waits for the other side, and looks from time to time whether the wait may go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Self, TypeVar

from camgraph_core.errors import CamgraphError

T = TypeVar("T")

_LOOK = 0.5  # seconds between two looks at what is slow


class Looks:
    """From its start to its stop, looks from time to time. A timer costs the event loop less than a task would.

    Args:
        check: Is called with the seconds that were waited; raises a `CamgraphError` where that is too long.
        end: Ends the wait; called once, with what the check has raised.

    Attributes:
        refusal: What the check raised.
    """

    def __init__(self, check: Callable[[float], None], end: Callable[[CamgraphError], object]) -> None:
        self.refusal: CamgraphError | None = None
        self._check = check
        self._end = end
        self._began = time.monotonic()

    def start(self) -> None:
        """Begins to look."""
        self._timer = asyncio.get_running_loop().call_later(_LOOK, self._look)

    def stop(self, *_: object) -> None:
        """Looks no more."""
        self._timer.cancel()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _look(self) -> None:
        try:
            self._check(time.monotonic() - self._began)
        except CamgraphError as refusal:
            self.refusal = refusal
            self._end(refusal)
        else:
            self.start()


async def bounded(wait: Awaitable[T], check: Callable[[float], None]) -> T:
    """Waits as long as a check allows it, and raises what the check raises; see `Looks`."""
    task = asyncio.current_task()
    assert task is not None, "it runs in a task"
    with Looks(check, lambda _: task.cancel()) as looks:
        try:
            return await wait
        except asyncio.CancelledError:
            if looks.refusal is None or task.uncancel():  # its caller has gone, too
                raise
            raise looks.refusal from None
