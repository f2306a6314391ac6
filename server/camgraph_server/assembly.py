"""The parts of one server, made of its settings and put together."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry

from camgraph_core.errors import UnavailableError, UsageError
from camgraph_server.audit.log import AuditLog
from camgraph_server.budget import Budget
from camgraph_server.config import ServerConfig
from camgraph_server.config.limits import MIB
from camgraph_server.models.attempt import Loader
from camgraph_server.models.batching import worker_count
from camgraph_server.models.changes import Changes, OwnChanges
from camgraph_server.models.explaining import COPIES, Room
from camgraph_server.models.file_loader import FileLoader
from camgraph_server.models.keeper import Keeper
from camgraph_server.models.loading import memory_limit, memory_parts, model_memory
from camgraph_server.models.memory import ModelMemory
from camgraph_server.models.model import Model, ModelState
from camgraph_server.models.repository import ModelRepository
from camgraph_server.models.source import source_of
from camgraph_server.observe.call_log import CallLog
from camgraph_server.observe.inference import InferenceCounts
from camgraph_server.observe.metrics.state import State
from camgraph_server.observe.metrics.together import metrics
from camgraph_server.observe.observers import Observer, Observers
from camgraph_server.scheduling.gate import Gate
from camgraph_server.scheduling.scheduler import Scheduler
from camgraph_server.scheduling.watchdog import Patience
from camgraph_server.service.control import ModelControl
from camgraph_server.service.service import Service
from camgraph_server.transport import explanation, model_control, open_inference, pools
from camgraph_server.transport.endpoint import channel_options
from camgraph_server.transport.health import HealthServicer
from camgraph_server.transport.inner_calls import Explaining, InnerCalls
from camgraph_server.transport.messages import Limits, Messages, Rpc
from camgraph_server.transport.packed import Unpacking
from camgraph_server.transport.receiving import Arrival
from camgraph_server.transport.reception import Reception
from camgraph_server.transport.security import Security
from camgraph_server.transport.sending import Reading, Sending
from camgraph_server.transport.stream import Streaming
from camgraph_server.transport.stream_places import StreamPlaces
from camgraph_server.transport.way_in import WayIn
from camgraph_wire.open_inference.messages import POOL

if TYPE_CHECKING:
    from camgraph_server.transport.http.port import HttpPort

_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

MakeChanges = Callable[[ModelRepository, Keeper], Changes]


class Assembly:
    """What a server consists of. Nothing is bound and nothing is loaded yet.

    Args:
        config: The settings.
        loader: Makes an explainer of a file; by default with the config's device and limits.
        make_changes: Makes what carries out changes that calls ask for; by default that of one process.

    Attributes:
        repository: The models.
        keeper: What changes the models.
        changes: What carries out changes of models that calls ask for.
        scheduler: Where their work is done.
        gate: Counts the calls.
        health: What health checks are answered.
        budgets: Memory that calls hold together, by what it is for.
        observers: Who is told of calls.
        security: Who may call.

    Raises:
        RepositoryError: The model repository does not exist or cannot be read.
        UsageError: Signatures, traces or HTTP are asked for, and their packages are not installed.
    """

    def __init__(
        self, config: ServerConfig, loader: Loader | None = None, make_changes: MakeChanges = OwnChanges
    ) -> None:
        self._config = config
        source = source_of(config)
        self._files = FileLoader(config, source.folder)
        models = ModelMemory(model_memory(config), worker_count(config))
        self.repository = ModelRepository(source, loader or self._files, models)
        self.keeper = Keeper(self.repository.look, config.reload_interval, self._files.rest)
        self.changes = make_changes(self.repository, self.keeper)
        self.scheduler = Scheduler(
            worker_count(config),
            config.queue_capacity,
            Patience(config.run_timeout, config.hang_timeout),
            config.max_client_share,
        )
        self.gate = Gate()
        self.health = HealthServicer([explanation.NAME])
        memory = memory_parts(config)
        self.budgets = {
            "requests": Budget(memory["requests"], config.max_client_share),
            "images": Budget(memory["images"]),
            "answers": Budget(memory["answers"]),
            "runs": models.runs,
        }
        self.security = Security(config)
        self._unpacking = Unpacking(config.compressed_requests)
        self._audit = None if config.audit_log is None else AuditLog(config.audit_log)
        self._counts = InferenceCounts()
        self._registry = CollectorRegistry()
        self._make_http_port = None if config.http is None else _http_port()
        self.observers = Observers(self._observers())

    def grpc_server(self) -> grpc.aio.Server:
        """The services on one server of gRPC, which has no port yet. Call it on the event loop."""
        config = self._config
        server = grpc.aio.server(options=channel_options(config), interceptors=(self._reception(),))
        service, messages, control = self.service(), self._messages(), self._control()
        streaming = self._streaming(messages)
        handlers = [
            explanation.explanation_service(service, messages, streaming, config.max_targets),
            open_inference.open_inference_service(messages, streaming, self._rpcs(service), config.max_targets),
        ]
        names = [explanation.NAME, open_inference.NAME, _HEALTH, reflection.SERVICE_NAME]
        if control is not None:
            handlers.append(model_control.model_control_service(control, messages))
            names.append(model_control.NAME)
        server.add_generic_rpc_handlers(handlers)
        health_pb2_grpc.add_HealthServicer_to_server(self.health, server)
        if config.reflection:
            reflection.enable_server_reflection(names, server, pools.default_and(POOL))
        return server

    def explanations(self) -> tuple[Reception, grpc.GenericRpcHandler]:
        """The way in, and our own service behind it, where another program has the port."""
        messages = self._messages()
        ours = explanation.explanation_service(
            self.service(), messages, self._streaming(messages), self._config.max_targets
        )
        return self._reception(), ours

    def http_port(self) -> HttpPort | None:
        """The same over HTTP, on a port that has not been bound; None where HTTP is not asked for."""
        if self._make_http_port is None:
            return None
        service = self.service()
        return self._make_http_port(
            self._config, service, self._rpcs(service), self._limits(), self._way_in(), self._registry
        )

    def stop_loading(self) -> None:
        """Loads nothing more. It blocks."""
        self.changes.leave()
        self.repository.stop_loading()
        self._files.close()

    def close(self, patience: float) -> bool:
        """Ends the work, and then frees the models. Call it after `stop_loading`; it blocks.

        Args:
            patience: Seconds that running work gets to stop, and loading once more.

        Returns:
            True if all threads have ended. Otherwise the models stay, as a thread may still use one.
        """
        workers_ended = self.scheduler.close(patience)
        loading_ended = self.keeper.stop(patience)
        if not (workers_ended and loading_ended):
            return False
        self.repository.close()
        return True

    def _observers(self) -> list[Observer]:
        """Who is told of calls. A further one is a further line here."""
        observers: list[Observer] = [CallLog(), self._counts]
        if self._config.metrics is not None or self._config.http is not None:
            observers += metrics(self._config.metrics, self._state(), self._counts, self._registry)
        if self._config.traces is not None:
            observers.append(_traces(self._config.traces, self._config.trace_share))
        if self._audit is not None:
            observers.append(self._audit)
        return observers

    def _state(self) -> State:
        return State(
            budgets=self.budgets,
            jobs=lambda: self.scheduler.jobs,
            models=lambda: ((model.name, model.version, model.state.value) for model in self.repository.models),
            model_states=tuple(state.value for state in ModelState),
            certificate_expiry=lambda: self.security.expiry.expires,
            audit_lines_lost=lambda: None if self._audit is None else self._audit.lost,
        )

    def service(self) -> Service:
        """What it does for callers, in any protocol."""
        room = Room(
            self.budgets["images"],
            self.budgets["runs"],
            self._max_answer,
            int(self._config.max_output_megapixels * 1e6),
            max_in_chunks=self.budgets["answers"].size // 2,
        )
        return Service(self.repository, self.scheduler, room, self.observers, self._on_hang)

    def _on_hang(self, model: Model | None) -> None:
        """Work does not end, and only the end of the process ends it. A model is given if its graph was running."""
        if self._config.has_supervisor:
            os.kill(os.getpid(), signal.SIGTERM)  # the supervisor starts another one
        elif model is not None:
            with suppress(UnavailableError):  # the server stops
                self.keeper.ask(partial(self.repository.give_up, model))

    def _control(self) -> ModelControl | None:
        return ModelControl(self.repository, self.changes) if self._config.model_control else None

    def _rpcs(self, service: Service) -> list[Rpc]:
        return open_inference.open_inference_rpcs(
            service,
            Explaining(service, InnerCalls(self.observers, self.security.limits)),
            self._control(),
            self.health,
            self._counts,
            self._config.max_targets,
        )

    def _reception(self) -> Reception:
        return Reception(self._way_in(), self._unpacking)

    def _way_in(self) -> WayIn:
        return WayIn(
            self.gate, self.security, self.observers, requests=self.budgets["requests"], answers=self.budgets["answers"]
        )

    def _limits(self) -> Limits:
        config = self._config
        return Limits(config.max_request_mib * MIB, self._max_answer, Arrival(config.receive_timeout), self._unpacking)

    def _messages(self) -> Messages:
        sending = Sending(Reading(self._config.write_timeout, self.budgets["answers"]))
        return Messages(self._limits(), self.budgets["requests"], sending)

    def _streaming(self, messages: Messages) -> Streaming:
        return Streaming(
            self.gate,
            StreamPlaces(messages.most_streams, self._config.max_client_streams),
            self.budgets["answers"],
            self.observers,
            self._config.max_stream_items,
            self.security.limits,
        )

    @property
    def _memory(self) -> int:
        return memory_limit(self._config)

    @property
    def _max_answer(self) -> int:
        return min(self._config.max_response_mib * MIB, self._memory // 4 // COPIES)


def _http_port() -> Callable[..., HttpPort]:
    try:
        from camgraph_server.transport.http.together import http_port  # noqa: PLC0415 - an extra of its own
    except ImportError as error:
        raise UsageError("HTTP needs Starlette and uvicorn; install camgraph[http].") from error
    return http_port


def _traces(url: str, share: float) -> Observer:
    try:
        from camgraph_server.observe.traces import exported_traces  # noqa: PLC0415 - an extra of its own
    except ImportError as error:
        raise UsageError("Traces need OpenTelemetry; install camgraph[trace].") from error
    return exported_traces(url, share)
