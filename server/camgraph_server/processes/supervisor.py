"""Keeps several worker processes on one port alive, and stops them together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from camgraph_core.errors import CamgraphError
from camgraph_server.address import Address, write_port
from camgraph_server.config import ServerConfig
from camgraph_server.observe.log import log_event
from camgraph_server.processes.life import WorkerLife
from camgraph_server.processes.messages import Asks, Found, Joins, Leaves, Ready, Settled
from camgraph_server.processes.metrics import ProcessMetrics
from camgraph_server.processes.orphans import collect_orphans
from camgraph_server.processes.port import HeldPort
from camgraph_server.processes.restarts import Restarts
from camgraph_server.processes.together import Together

_log = logging.getLogger("camgraph.supervisor")

_STOPS = (signal.SIGTERM, signal.SIGINT)
_ANY_LOCAL_PORT = "127.0.0.1:0"
_HARD_END = 5.0  # seconds after the grace; a worker needs two of them at most


class Supervisor:
    """Starts as many workers as the settings say, each a process of its own with its own models.

    Args:
        config: The settings of all of them together.

    Raises:
        BindError: The address is taken, not allowed, or not one of this host.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        address = Address.parse(config.listen)
        self._port = None if address.is_socket else HeldPort(address)
        self.address = config.listen if self._port is None else self._port.address
        self._http = None if config.http is None else HeldPort(Address.parse(config.http), "--http")
        self._metrics = None if config.metrics is None else ProcessMetrics(config.metrics, self._metrics_addresses)
        metrics = None if config.metrics is None else _ANY_LOCAL_PORT
        self._of_worker = replace(config, listen=self.address, http=self.http_address, port_file=None, metrics=metrics)
        self._workers: list[WorkerLife | None] = [None] * config.processes
        self._together = Together(config.load_timeout)
        self._changing: set[asyncio.Task[None]] = set()
        self._stop_asked = asyncio.Event()
        self._is_complete = False  # every worker has been ready
        self._on_ready: Callable[[str], None] = lambda _: None
        self._drained = True

    @property
    def http_address(self) -> str | None:
        """Where its workers answer HTTP; None if they do not."""
        return None if self._http is None else self._http.address

    async def run(self, on_ready: Callable[[str], None]) -> bool:
        """Serves until SIGTERM or SIGINT; a second one ends all processes at once. SIGHUP goes to every worker.

        Args:
            on_ready: Called with the address once every worker is ready.

        Returns:
            True if every worker answered all that it had accepted.

        Raises:
            BindError: The address of the metrics is taken or not allowed.
            CamgraphError: A worker cannot start, or the port file cannot be written; the others were stopped.
        """
        self._on_ready = on_ready
        if self._metrics is not None:
            await self._metrics.start()
        loop = asyncio.get_running_loop()
        for number in _STOPS:
            loop.add_signal_handler(number, self._on_stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._tell_all, signal.SIGHUP)
        collecting = asyncio.create_task(
            collect_orphans(lambda: [each.pid for each in self._workers if each is not None])
        )
        keeping = [asyncio.ensure_future(self._keep(place)) for place in range(self._config.processes)]
        try:
            await asyncio.wait(keeping, return_when=asyncio.FIRST_EXCEPTION)
            self._stop()
            await asyncio.wait(keeping)
            for each in keeping:
                each.result()
        finally:
            collecting.cancel()
            self._tell_all(signal.SIGKILL)
            for port in filter(None, (self._port, self._http)):
                port.close()
            if self._metrics is not None:
                await self._metrics.stop()
        return self._drained

    async def _keep(self, place: int) -> None:
        """Has one worker at its place until the stop: starts it, waits for its end, starts it again."""
        restarts = Restarts()
        while not self._stop_asked.is_set():
            worker = await WorkerLife.begin(self._of_worker, self._together.unloaded)
            self._workers[place] = worker
            if self._stop_asked.is_set():  # in the same moment
                worker.signal(signal.SIGTERM)
            await self._see_through(worker)
            if self._stop_asked.is_set():
                self._drained &= worker.drained
                return
            delay = restarts.delay_after(worker.served)
            if self._metrics is not None:
                self._metrics.restarts += 1
            self._check_hope(worker, restarts)
            log_event(
                _log,
                logging.ERROR,
                "worker process ended, and will be started again",
                process=worker.pid,
                how=worker.how_it_ended,
                reason=worker.problem and str(worker.problem),
                seconds=delay,
            )
            with contextlib.suppress(TimeoutError):  # nobody asked to stop: it is started again
                await asyncio.wait_for(self._stop_asked.wait(), delay)

    async def _see_through(self, worker: WorkerLife) -> None:
        async for message in worker.messages():
            match message:
                case Joins():
                    self._begin(self._together.join(worker))
                case Ready():
                    log_event(_log, logging.INFO, "worker process ready", process=worker.pid)
                    self._announce()
                case Asks():
                    self._begin(self._together.change(worker, message))
                case Found() | Settled():
                    self._together.hear(worker, message)
                case Leaves():
                    self._together.leave(worker)
        self._together.leave(worker)
        await worker.end()

    def _begin(self, part: Coroutine[Any, Any, None]) -> None:
        """Begins what may wait for other workers, while this one is heard, and seen to end."""
        beginning = asyncio.create_task(part)
        self._changing.add(beginning)
        beginning.add_done_callback(self._changing.discard)

    def _announce(self) -> None:
        """Says where it serves, when every worker is ready for the first time."""
        if not self._is_complete and all(each is not None and each.is_ready for each in self._workers):
            self._is_complete = True
            write_port(self._config.port_file, self.address)
            self._on_ready(self.address)

    def _check_hope(self, worker: WorkerLife, restarts: Restarts) -> None:
        """Gives up where trying again helps nobody: a worker cannot start, and none is left that serves.

        Raises:
            CamgraphError: It is so.
        """
        if worker.served is not None:  # what ended it may not come again
            return
        if self._is_complete and any(each is not None and each.is_ready for each in self._workers):
            return
        if worker.problem is not None:
            raise worker.problem
        if restarts.is_hopeless:
            raise CamgraphError(
                f"A worker process ended {restarts.in_a_row} times in a row soon after its start, the last time with "
                f"{worker.how_it_ended}. If that is SIGKILL, memory may be too small for --processes "
                f"{self._config.processes}."
            )

    def _metrics_addresses(self) -> list[str | None]:
        return [each.metrics_address if each is not None and each.is_ready else None for each in self._workers]

    def _on_stop(self, number: signal.Signals) -> None:
        if self._stop_asked.is_set():
            self._tell_all(signal.SIGKILL)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        log_event(_log, logging.INFO, "stopping", signal=signal.Signals(number).name)
        self._stop()

    def _stop(self) -> None:
        if not self._stop_asked.is_set():
            self._stop_asked.set()
            self._tell_all(signal.SIGTERM)
            asyncio.get_running_loop().call_later(self._config.grace + _HARD_END, self._tell_all, signal.SIGKILL)

    def _tell_all(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker is not None:
                worker.signal(number)
