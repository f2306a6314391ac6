"""Says in time that the certificate expires."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from camgraph_server.followed import Followed
from camgraph_server.observe.log import log_event
from camgraph_server.transport.tls import Certificate

_DAY = 86_400.0  # seconds
_WARNED_BEFORE = 30  # days
_log = logging.getLogger("camgraph.tls")


class ExpiryWatch:
    """Logs when the certificate expires: when it starts, and daily while less than 30 days are left.

    Args:
        followed: The certificate; None without TLS.
    """

    def __init__(self, followed: Followed[Certificate] | None) -> None:
        self._followed = followed
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins, if there is a certificate."""
        if self._followed is not None:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):  # as it was told to
                await self._task

    @property
    def expires(self) -> float | None:
        """When the certificate expires, in seconds since 1970; None without TLS."""
        return self._followed.get().expires.timestamp() if self._followed is not None else None

    @property
    def _is_near(self) -> bool:
        return self._followed is not None and self._followed.get().left.days < _WARNED_BEFORE

    def say(self) -> None:
        """Logs when it expires."""
        if self._followed is None:
            return
        certificate = self._followed.get()
        log_event(
            _log,
            logging.WARNING if self._is_near else logging.INFO,
            "the TLS certificate has expired" if certificate.left.days < 0 else "the TLS certificate expires",
            at=certificate.expires.isoformat(),
            days=certificate.left.days,
        )

    async def _run(self) -> None:
        self.say()
        while True:
            await asyncio.sleep(_DAY)
            if self._is_near:
                self.say()
