"""Turns of calls at what only a few may do at a time, the newest first."""

from __future__ import annotations

import asyncio


class Turns:
    """Gives turns to the newest call that waits: a crowd that came before it does not hold it up.

    Used on the event loop alone.

    Args:
        most: Calls that may have a turn at the same time.
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: list[asyncio.Future[None]] = []

    async def take(self) -> None:
        """Waits for a turn, which ends with `give_back`."""
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn.cancelled():  # it was given in the same moment
                self.give_back()
            raise

    def give_back(self) -> None:
        """Ends a turn, and begins that of the newest call that waits."""
        while self._waiting:
            turn = self._waiting.pop()
            if not turn.done():  # one is, whose call was given up in this moment
                turn.set_result(None)
                return
        self._free += 1
