"""The service on Ray Serve, which starts replicas and reads the messages of calls (deploy/ray-serve.yaml)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from ray import serve

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.errors import NotReadyError, TooLargeError, UnknownMethodError
from camgraph_server.assembly import Assembly
from camgraph_server.budget import Share
from camgraph_server.call import Call
from camgraph_server.config import ServerConfig
from camgraph_server.config.limits import MIB
from camgraph_server.observe.log import configure_logging
from camgraph_server.transport.explanation import NAME, details_of
from camgraph_server.transport.refusal import Refusal
from camgraph_wire.chunks import pieces_of
from camgraph_wire.models import list_message
from camgraph_wire.requests import request_from
from camgraph_wire.results import response_message


def application(settings: dict[str, Any]) -> Any:
    """The application that a config file of Ray Serve names, with settings of `camgraph serve`."""
    made = ServerConfig(**{name.replace("-", "_"): value for name, value in settings.items()})
    # Ray must let in more than the service takes: only the service says so in a way that clients send again.
    return serve.deployment(Replica, name="camgraph", max_ongoing_requests=4 * (made.queue_capacity + 16)).bind(made)


class Replica:
    """The service in one process of Ray. Its methods are the calls of the service."""

    async def __init__(self, config: ServerConfig) -> None:  # type: ignore[misc]  # Ray awaits it
        configure_logging(config.log_format, config.log_level)
        self._config, self._parts = config, Assembly(config)
        self._service = self._parts.service()
        await self._parts.security.start()
        await self._parts.observers.start()
        await asyncio.wrap_future(self._parts.keeper.ask(self._parts.repository.load))
        if not any(model.loaded for model in self._parts.repository.models):
            raise NotReadyError(f"No model of {config.model_repository} can be served; the log says why.")

    async def Explain(self, request: pb.ExplainRequest, grpc_context: Any) -> pb.ExplainResponse:
        with self._call("Explain", grpc_context) as call, self._known(call, grpc_context, request):
            self._service.admit(call)
            addressed = await asyncio.to_thread(request_from, request)
            result = await self._service.explain(addressed, call)
            return await asyncio.to_thread(response_message, result, addressed.request)
        return pb.ExplainResponse()

    async def ExplainStream(self, _: Any, grpc_context: Any) -> AsyncIterator[Any]:
        with self._call("ExplainStream", grpc_context):
            raise UnknownMethodError("Ray Serve sends no headers before answers, as streams need; send single calls.")
        yield pb.ExplainStreamResponse()

    async def ExplainChunked(self, request: pb.ExplainChunkedRequest, grpc_context: Any) -> AsyncIterator[Any]:
        with self._call("ExplainChunked", grpc_context) as call, self._known(call, grpc_context, request):
            self._service.admit(call)
            call.in_chunks = True
            asked = await asyncio.to_thread(request_from, request.request)
            for piece in pieces_of(await self._service.explain(asked, call), asked.request):
                yield piece

    async def ListModels(self, request: pb.ListModelsRequest, grpc_context: Any) -> pb.ListModelsResponse:
        with self._call("ListModels", grpc_context) as call, self._known(call, grpc_context, request):
            return list_message(await self._service.list_models(None, call))
        return pb.ListModelsResponse()

    async def GetModel(self, request: pb.GetModelRequest, grpc_context: Any) -> pb.GetModelResponse:
        with self._call("GetModel", grpc_context) as call, self._known(call, grpc_context, request):
            return details_of(await self._service.get_model((request.name, request.version), call))
        return pb.GetModelResponse()

    @contextmanager
    def _call(self, rpc: str, context: Any) -> Iterator[Call]:
        """One call; an error within becomes its status."""
        door, peer = self._parts.security.door, context.peer()
        with (
            Share(self._parts.budgets["answers"]) as share,
            self._parts.observers.watching(Call(NAME, rpc, peer, door.visitor(peer), None, share)) as call,
        ):
            try:
                yield call
                call.status = "OK"
            except Exception as error:  # whatever happened, the caller gets a status and the replica lives on
                refusal = Refusal.of(error)
                call.status, call.reason = refusal.status.name, refusal.text
                context.set_code(refusal.status)
                context.set_details(refusal.text)
                context.set_trailing_metadata(list(refusal.trailers))

    @contextmanager
    def _known(self, call: Call, context: Any, request: Any) -> Iterator[None]:
        """Enters when it is known who calls, and refuses what is too large."""
        tokens = [str(value) for key, value in context.invocation_metadata() if key == "authorization"]
        call.client = self._parts.security.door.client(call.peer, tokens, [])
        call.received = request.ByteSize()
        if call.received > self._config.max_request_mib * MIB:
            raise TooLargeError(f"The request has more than {self._config.max_request_mib} MiB.")
        yield
