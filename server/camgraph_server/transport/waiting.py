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
    """While it is entered, looks from time to time. A timer costs the event loop less than a task would.

    Args:
        check: Is called with the seconds that were waited; raises a `CamgraphError` where that is too long.
        end: Ends the wait; called once, when the check has raised.

    Attributes:
        refusal: What the check raised.
    """

    def __init__(self, check: Callable[[float], None], end: Callable[[], None]) -> None:
        self.refusal: CamgraphError | None = None
        self._check = check
        self._end = end
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._later()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_LOOK, self._look)

    def _look(self) -> None:
        try:
            self._check(time.monotonic() - self._began)
        except CamgraphError as refusal:
            self.refusal = refusal
            self._end()
        else:
            self._later()


async def bounded(wait: Awaitable[T], check: Callable[[float], None]) -> T:
    """Waits as long as a check allows it, and raises what the check raises; see `Looks`."""
    looks = None
    try:
        async with asyncio.timeout(None) as limit:
            with Looks(check, lambda: limit.reschedule(0)) as looks:
                return await wait
    except TimeoutError:
        if looks is None or looks.refusal is None:
            raise
        raise looks.refusal from None
