"""How late the event loop is: it does nothing that takes long, so a late one means that something blocks it."""

from __future__ import annotations

import asyncio
import time

from prometheus_client import CollectorRegistry, Gauge, Histogram

from camgraph_server.observe.observers import Observer

_TICK = 0.25  # seconds
_LAGS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class LoopWatch(Observer):
    """Ticks on the event loop, and says how late the ticks come.

    Args:
        registry: Gets the metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._due: float | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._lag = Histogram(
            "camgraph_event_loop_lag_seconds",
            f"How late the event loop was, looked at every {_TICK} s.",
            buckets=_LAGS,
            registry=registry,
        )
        Gauge(
            "camgraph_event_loop_stall_seconds",
            "For how long the event loop has been blocked now.",
            registry=registry,
        ).set_function(self.stall)

    def stall(self) -> float:
        """Seconds by which the next tick is late. It is called on another thread, as the loop may be blocked."""
        return 0.0 if self._due is None else max(0.0, time.monotonic() - self._due)

    async def start(self) -> None:
        """Begins to tick."""
        self._ticking = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """Ticks no more."""
        if self._ticking is not None:
            self._ticking.cancel()
        self._due = None

    async def _tick(self) -> None:
        while True:
            self._due = time.monotonic() + _TICK
            await asyncio.sleep(_TICK)
            self._lag.observe(self.stall())
