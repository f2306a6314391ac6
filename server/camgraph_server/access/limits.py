"""What one client may ask for: calls at once, and calls per second."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from camgraph_core.errors import OverLimitError
from camgraph_server.access.client import Client

_RETRY_AFTER = 1.0  # seconds


@dataclass
class _Use:
    """What a client uses.

    Attributes:
        calls: In flight.
        left: Calls that may come now, as the bucket of tokens has it.
        at: When that was so.
    """

    calls: int = 0
    left: float = 0.0
    at: float = 0.0


class ClientLimits:
    """Holds each client to its own limits, which only clients of the clients file have. Used on the event loop alone.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._uses: dict[str, _Use] = {}

    @contextlib.contextmanager
    def in_flight(self, client: Client) -> Iterator[None]:
        """Counts a call while it lasts.

        Raises:
            OverLimitError: The client has as many calls as it may.
        """
        self.enter(client)
        try:
            yield
        finally:
            self.leave(client)

    def enter(self, client: Client) -> None:
        """Counts a call, until it leaves.

        Raises:
            OverLimitError: The client has as many calls as it may.
        """
        if client.calls_at_once is None:
            return
        use = self._use(client)
        if use.calls >= client.calls_at_once:
            raise OverLimitError(
                f"You have {use.calls} calls in flight, which is your limit; wait for an answer.", _RETRY_AFTER
            )
        use.calls += 1

    def leave(self, client: Client) -> None:
        """A call that has entered is over."""
        if client.calls_at_once is not None:
            self._use(client).calls -= 1

    def take(self, client: Client) -> None:
        """Takes one request off what the client may send now.

        Raises:
            OverLimitError: It sends more than its rate allows.
        """
        if client.rate is None:
            return
        use, now = self._use(client), self._clock()
        use.left = min(client.burst, use.left + (now - use.at) * client.rate)
        use.at = now
        if use.left < 1.0:
            raise OverLimitError(
                f"You send more than {client.rate:g} requests per second, which is your limit; send fewer.",
                (1.0 - use.left) / client.rate,
            )
        use.left -= 1.0

    def _use(self, client: Client) -> _Use:
        if client.name not in self._uses:
            self._uses[client.name] = _Use(left=client.burst, at=self._clock())
        return self._uses[client.name]
