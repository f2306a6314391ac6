"""The service on Ray Serve, which starts replicas and reads the messages of calls (deploy/ray-serve.yaml)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any, cast

from ray import serve

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.errors import NotReadyError
from camgraph_server.assembly import Assembly
from camgraph_server.config import ServerConfig
from camgraph_server.observe.log import configure_logging
from camgraph_server.on_ray_context import AbortedError, RayContext, Written
from camgraph_server.transport.explanation import NAME

_RPCS = pb.DESCRIPTOR.services_by_name["ExplanationService"].methods_by_name


def application(settings: dict[str, Any]) -> Any:
    """The application that a config file of Ray Serve names, with settings of `camgraph serve`."""
    made = ServerConfig(**{name.replace("-", "_"): value for name, value in settings.items()})
    # Ray must let in more than the service takes: only the service says so in a way that clients send again.
    return serve.deployment(Replica, name="camgraph", max_ongoing_requests=4 * (made.queue_capacity + 16)).bind(made)


class Replica:
    """The service in one process of Ray. Its methods are the calls of the service, and go the way of all calls."""

    async def __init__(self, config: ServerConfig) -> None:  # type: ignore[misc]  # Ray awaits it
        configure_logging(config.log_format, config.log_level)
        self._parts = Assembly(config)
        await self._parts.security.start()
        await self._parts.observers.start()
        await asyncio.wrap_future(self._parts.keeper.ask(self._parts.repository.load))
        if not any(model.loaded for model in self._parts.repository.models):
            raise NotReadyError(f"No model of {config.model_repository} can be served; the log says why.")
        reception, ours = self._parts.explanations()

        async def handler(details: Any) -> Any:
            return ours.service(details)

        details = {rpc: SimpleNamespace(method=f"/{NAME}/{rpc}") for rpc in _RPCS}  # all of them that is read
        self._handlers: dict[str, Any] = {
            rpc: await reception.intercept_service(handler, cast("Any", details[rpc])) for rpc in _RPCS
        }

    async def Explain(self, request: Any, grpc_context: Any) -> Written:
        return await self._once("Explain", request, grpc_context)

    async def ListModels(self, request: Any, grpc_context: Any) -> Written:
        return await self._once("ListModels", request, grpc_context)

    async def GetModel(self, request: Any, grpc_context: Any) -> Written:
        return await self._once("GetModel", request, grpc_context)

    async def ExplainStream(self, requests: AsyncIterator[Any], grpc_context: Any) -> AsyncGenerator[Written]:
        async with aclosing(self._several("ExplainStream", requests, grpc_context)) as answers:
            async for answer in answers:
                yield answer

    async def ExplainChunked(self, request: Any, grpc_context: Any) -> AsyncGenerator[Written]:
        async with aclosing(self._several("ExplainChunked", _only(request), grpc_context)) as answers:
            async for answer in answers:
                yield answer

    async def _once(self, rpc: str, request: Any, grpc_context: Any) -> Written:
        context = RayContext(grpc_context, _only(request))
        try:
            return Written(await self._handlers[rpc].stream_unary(None, context))
        except AbortedError:
            return Written(b"")  # its status says what happened
        finally:
            context.end()

    async def _several(self, rpc: str, requests: AsyncIterator[Any], grpc_context: Any) -> AsyncGenerator[Written]:
        context = RayContext(grpc_context, requests)
        call = asyncio.create_task(self._handlers[rpc].stream_stream(None, context))
        try:
            async for answer in context.written(call):
                yield answer
        finally:
            call.cancel()
            await asyncio.wait({call})
            context.end()


async def _only(message: Any) -> AsyncGenerator[Any]:
    yield message
