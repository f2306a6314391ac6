"""From start to stop: bind, answer health, load, serve; then refuse, drain, close."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import grpc

from camgraph_core.errors import UnavailableError
from camgraph_server.address import write_port
from camgraph_server.assembly import Assembly, MakeChanges
from camgraph_server.config import ServerConfig
from camgraph_server.models.attempt import Loader
from camgraph_server.models.changes import OwnChanges
from camgraph_server.models.model import ModelState
from camgraph_server.observe.log import log_event
from camgraph_server.observe.metrics.port import MetricsPort
from camgraph_server.transport import explanation
from camgraph_server.transport.connections import Endpoint
from camgraph_server.transport.endpoint import bind

if TYPE_CHECKING:
    from camgraph_server.transport.http.port import HttpPort

_log = logging.getLogger("camgraph.lifecycle")

_STOPS = (signal.SIGTERM, signal.SIGINT)
_LAST_WORDS = 0.2  # seconds for what health checks and refused calls are still told after the last answer
_HARD_END = 1.0  # seconds that running work gets to stop after the grace


class Server:
    """One server process. Call `start`, then `stop`; or `run`, which also waits for a signal between."""

    def __init__(
        self, config: ServerConfig, loader: Loader | None = None, make_changes: MakeChanges = OwnChanges
    ) -> None:
        """Prepares a server; nothing is bound and nothing is loaded yet.

        Args:
            config: The settings.
            loader: Makes an explainer of a file; by default with the config's device and limits.
            make_changes: Makes what carries out changes of models; by default that of one process.

        Raises:
            RepositoryError: The model repository does not exist or cannot be read.
        """
        self.config = config
        self.address = ""
        self.parts = Assembly(config, loader, make_changes)
        self._server: grpc.aio.Server | None = None
        self._http: HttpPort | None = None
        self.is_stuck = False
        """After a stop: a thread still runs, and would hold up the end of the process."""

    @property
    def metrics_address(self) -> str | None:
        """Where it tells its metrics; None if it does not."""
        return next((each.address for each in self.parts.observers if isinstance(each, MetricsPort)), None)

    @property
    def http_address(self) -> str | None:
        """Where it answers HTTP; None if it does not, or not yet."""
        return None if self._http is None else self._http.address

    async def start(self) -> None:
        """Binds, answers health checks with NOT_SERVING, loads the models, then reports what is SERVING.

        One of several processes on a port listens when its models are loaded: until then the others answer.

        Raises:
            BindError: The address is taken or not allowed, or the TLS files cannot be used.
            UsageError: The clients file cannot be used, or the port file cannot be written.
            DeviceError: The device is not available.
        """
        await self.parts.security.start()
        await self.parts.observers.start()
        if self.config.processes == 1:
            await self._listen()
        await asyncio.wrap_future(self.parts.keeper.ask(self.parts.repository.load))
        await self.parts.changes.join()
        if self.config.processes > 1:
            await self._listen()
        self.parts.repository.on_change(partial(self._report_health, asyncio.get_running_loop()))
        await self.parts.health.set(self._statuses())
        write_port(self.config.port_file, self.address)

    async def stop(self) -> bool:
        """Refuses new calls, lets those in flight finish within the grace, closes everything.

        Nothing takes longer than the grace and two seconds.

        Returns:
            True if every call in flight was answered, and its answer written.
        """
        began = time.monotonic()
        await asyncio.to_thread(self.parts.stop_loading)
        await self.parts.health.stop()
        self.parts.gate.close()
        drained = await self.parts.gate.drained(self.config.grace)
        if not drained:
            log_event(_log, logging.WARNING, "grace is over, calls are cut off", calls=self.parts.gate.in_flight)
        if self._server is not None:
            patience = 0.0
            if drained and self.address:
                await asyncio.sleep(_LAST_WORDS)
                patience = max(_LAST_WORDS, self.config.grace - (time.monotonic() - began))
            await self._close_ports(patience)
            await self._server.stop(0)
        self.is_stuck = not await asyncio.to_thread(self.parts.close, _HARD_END)
        await self.parts.observers.stop()
        await self.parts.security.stop()
        log_event(_log, logging.INFO, "stopped", drained=drained, seconds=time.monotonic() - began)
        return drained

    async def run(self, on_ready: Callable[[str], None]) -> bool:
        """Starts, calls `on_ready` with the bound address, waits for SIGTERM or SIGINT, stops.

        A second signal ends the process at once. SIGHUP has it reload its models. Returns what `stop` returns.
        """
        stop_asked = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in _STOPS:
            loop.add_signal_handler(number, _on_signal, number, stop_asked)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        starting, stopping = asyncio.ensure_future(self.start()), asyncio.ensure_future(stop_asked.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                on_ready(self.address)
                await stopping
        finally:
            for task in (starting, stopping):
                task.cancel()
            await asyncio.wait({starting, stopping})  # else it would go on to start what is being stopped
            drained = await self.stop()
        return drained

    def reload(self) -> None:
        """Has models, certificate and clients follow their files now, if those changed; what failed is tried again."""
        log_event(_log, logging.INFO, "reloading")
        self.parts.security.look()
        with suppress(UnavailableError):  # it stops, or has been asked a hundred times
            self.parts.keeper.ask(self.parts.repository.reload)

    async def _listen(self) -> None:
        self._server = self.parts.grpc_server()
        self.address = bind(self._server, self.config, self.parts.security.certificate)
        await self.parts.health.set(self._statuses())
        await self._server.start()
        self._http = self.parts.http_port()
        if self._http is not None:
            await self._http.start()

    async def _close_ports(self, patience: float) -> None:
        """Closes connections when what was written has been sent, which may take some seconds."""
        closing = [Endpoint(self.address).close(patience)] if patience else []
        if self._http is not None:
            closing.append(self._http.stop(patience))
        await asyncio.gather(*closing)

    def _report_health(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called on the thread that changes the models."""
        report = self.parts.health.set(self._statuses())
        try:
            asyncio.run_coroutine_threadsafe(report, loop)
        except RuntimeError:  # the loop has ended, and with it who could be told
            report.close()

    def _statuses(self) -> dict[str, bool]:
        """A model serves if any version does, the whole server if any model does."""
        models: dict[str, bool] = {}
        for model in self.parts.repository.models:
            models[model.name] = models.get(model.name, False) or model.state is ModelState.READY
        any_ready = any(models.values())
        return {**models, "": any_ready, explanation.NAME: any_ready}


def _on_signal(number: signal.Signals, stop_asked: asyncio.Event) -> None:
    log_event(_log, logging.INFO, "stopping", signal=signal.Signals(number).name)
    stop_asked.set()
    loop = asyncio.get_running_loop()
    for each in _STOPS:  # from now on each has its default effect: the process ends at once
        loop.remove_signal_handler(each)
        signal.signal(each, signal.SIG_DFL)
