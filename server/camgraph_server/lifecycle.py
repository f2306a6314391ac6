"""From start to stop: bind, answer health, load, serve; then refuse, drain, stop, close."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from camgraph.v1 import explanation_pb2, explanation_pb2_grpc
from camgraph_runtime import Explainer
from camgraph_server.config import MIB, ServerConfig
from camgraph_server.errors import BindError
from camgraph_server.models.loading import load_explainer, worker_count
from camgraph_server.models.repository import ModelRepository, ModelState
from camgraph_server.observe.log import log_event
from camgraph_server.scheduling.workers import WorkerPool
from camgraph_server.transport.explanation import ExplanationServicer
from camgraph_server.transport.health import HealthServicer
from camgraph_server.transport.interceptor import CallInterceptor, Gate

_log = logging.getLogger("camgraph.lifecycle")
_SERVICE = explanation_pb2.DESCRIPTOR.services_by_name["ExplanationService"].full_name
_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

# Calls beyond workers and queue that gRPC still hands to Python, so that they get our own answer and health
# checks always get one. Calls beyond that are refused by gRPC itself as RESOURCE_EXHAUSTED.
_SPARE_CALLS = 1024

# After the drain only answers that are being written are left.
_LAST_WORDS = 1.0


class Server:
    """One server process. Call `start`, then `stop`; or `run`, which also waits for a signal between."""

    def __init__(self, config: ServerConfig, loader: Callable[[Path], Explainer] | None = None) -> None:
        """Prepares a server; nothing is bound and nothing is loaded yet.

        Args:
            config: the settings.
            loader: makes an explainer of a file; by default with the config's device and limits.

        Raises:
            NotFoundError: the model repository does not exist or is empty.
        """
        self.config = config
        self.address = ""
        self.repository = ModelRepository(config.model_repository, loader or partial(load_explainer, config))
        self._pool = WorkerPool(worker_count(config), config.queue_capacity)
        self._gate = Gate()
        self._health = HealthServicer()
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Binds, answers health checks with NOT_SERVING, loads the models, then reports what is SERVING.

        Raises:
            BindError: the address is taken or not allowed, or the TLS files cannot be used.
            DeviceError: the device is not to be had.
        """
        self._server = self._build()
        port = self._bind(self._server)
        self.address = _with_port(self.config.listen, port)
        await self._health.set(self._statuses())
        await self._server.start()
        # A thread keeps the event loop free: health checks are answered while models load.
        await asyncio.to_thread(self.repository.load)
        await self._health.set(self._statuses())
        if self.config.port_file is not None:
            self.config.port_file.write_text(f"{port}\n", encoding="utf-8")

    async def stop(self) -> bool:
        """Refuses new calls, lets those in flight finish within the grace, closes everything.

        Returns:
            True if every call in flight could finish.
        """
        began = time.monotonic()
        await self._health.stop()
        self._gate.close()
        drained = await self._gate.drained(self.config.grace)
        if not drained:
            log_event(_log, logging.WARNING, "grace is over, calls are cut off", calls=self._gate.in_flight)
        if self._server is not None:
            await self._server.stop(_LAST_WORDS if drained else 0)
        await asyncio.to_thread(self._pool.close)
        self.repository.close()
        log_event(_log, logging.INFO, "stopped", drained=drained, seconds=time.monotonic() - began)
        return drained

    async def run(self, on_ready: Callable[[str], None]) -> bool:
        """Starts, calls `on_ready` with the bound address, waits for SIGTERM or SIGINT, stops.

        A second signal ends the process at once. Returns what `stop` returns.
        """
        stop_asked = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number, stop_asked)
        try:
            await self.start()  # a model that is being loaded cannot be interrupted
            if not stop_asked.is_set():
                on_ready(self.address)
            await stop_asked.wait()
        finally:
            drained = await self.stop()
        return drained

    def _on_signal(self, number: signal.Signals, stop_asked: asyncio.Event) -> None:
        log_event(_log, logging.INFO, "stopping", signal=signal.Signals(number).name)
        stop_asked.set()
        asyncio.get_running_loop().remove_signal_handler(number)  # the next one has its default effect

    def _build(self) -> grpc.aio.Server:
        server = grpc.aio.server(
            interceptors=[CallInterceptor(self._gate)],
            options=_channel_options(self.config),
            maximum_concurrent_rpcs=self._pool.workers + self._pool.queue_capacity + _SPARE_CALLS,
        )
        servicer = ExplanationServicer(self.config, self.repository, self._pool)
        explanation_pb2_grpc.add_ExplanationServiceServicer_to_server(servicer, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((_SERVICE, _HEALTH, reflection.SERVICE_NAME), server)
        return server

    def _bind(self, server: grpc.aio.Server) -> int:
        address = self.config.listen
        try:
            if self.config.tls_cert is None or self.config.tls_key is None:
                return server.add_insecure_port(address)
            return server.add_secure_port(address, _credentials(self.config.tls_cert, self.config.tls_key))
        except RuntimeError as error:
            raise BindError(
                f"Cannot listen on {address}: the address is in use, not allowed or no address of this host. "
                "Choose another one with --listen HOST:PORT."
            ) from error

    def _statuses(self) -> dict[str, bool]:
        """A model serves if any version does, the whole server if any model does."""
        models: dict[str, bool] = {}
        for model in self.repository.models:
            models[model.name] = models.get(model.name, False) or model.state is ModelState.READY
        any_ready = any(models.values())
        return {**models, "": any_ready, _SERVICE: any_ready}


def _credentials(certificate: Path, key: Path) -> grpc.ServerCredentials:
    try:  # gRPC would only write to stderr what is wrong with the files
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except OSError as error:
        raise BindError(
            f"The TLS files {certificate} and {key} are no pair of certificate and unencrypted key "
            f"({error.strerror or error})."
        ) from error
    return grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])


def _with_port(listen: str, port: int) -> str:
    if listen.startswith("unix:"):
        return listen
    return f"{listen.rpartition(':')[0]}:{port}"


def _channel_options(config: ServerConfig) -> list[tuple[str, Any]]:
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", config.max_request_mib * MIB),
        ("grpc.max_send_message_length", config.max_response_mib * MIB),
        ("grpc.so_reuseport", 0),  # two servers on one port by mistake would share its calls silently
        # Tolerates clients that ping every 10 s to keep idle connections through load balancers.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
    ]
    if config.max_connection_age > 0:
        options += [
            ("grpc.max_connection_age_ms", int(config.max_connection_age * 1e3)),
            ("grpc.max_connection_age_grace_ms", int(config.grace * 1e3)),
        ]
    return options
