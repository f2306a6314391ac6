"""How many streams may be open, of all methods together, and how many of them one client may hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from camgraph_core.errors import OverLimitError, UnavailableError
from camgraph_server.access.client import Client

_RETRY_AFTER = 5.0  # seconds after which another stream may have ended


class StreamPlaces:
    """Counts the streams that are open. Used on the event loop alone.

    Args:
        most: Streams that there is memory for.
        most_of_one: Streams of one client; 0 means half of all, so that no client keeps out the others.
    """

    def __init__(self, most: int, most_of_one: int = 0) -> None:
        self._most = most
        self._most_of_one = most_of_one or (most + 1) // 2
        self._open: Counter[str] = Counter()  # by client

    @contextmanager
    def taken(self, client: Client) -> Iterator[None]:
        """Counts a stream while it lasts.

        Raises:
            OverLimitError: The client has as many streams as it may.
            UnavailableError: All places are taken.
        """
        if self._open[client.name] >= self._most_of_one:
            raise OverLimitError(
                f"You have {self._open[client.name]} streams open, which is the limit for one client; send on one of "
                "them, or end one first."
            )
        if self._open.total() >= self._most:
            raise UnavailableError(
                f"The server has memory for {self._most} streams, and all are open; try again later, or send a call "
                "for each request.",
                retry_after=_RETRY_AFTER,
            )
        self._open[client.name] += 1
        try:
            yield
        finally:
            self._open[client.name] -= 1
            self._open += Counter()  # forgets clients without a stream
