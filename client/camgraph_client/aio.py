"""The asynchronous client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import grpc
import grpc.aio

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1 import explanation_pb2_grpc
from camgraph_client.channel import Connection
from camgraph_client.errors import error_from
from camgraph_client.requests import ExplainOptions, ImageSource, explain_request
from camgraph_client.results import ModelDetails, RemoteResult, result_from
from camgraph_core.models import ModelInfo
from camgraph_wire.models import model_from

T = TypeVar("T")


class AsyncClient:
    """Talks to one camgraph server; safe to share between tasks of one event loop.

    ::

        async with AsyncClient("localhost:8500") as client:
            result = await client.explain("cat.png", model="efficientnet_lite0", top_k=2)

    Every method raises `UnavailableError` if no server answers or it is overloaded, `DeadlineError` if it
    takes too long, and `RemoteError` if the server fails.
    """

    def __init__(self, connection: Connection | str) -> None:
        """Connects at the first call.

        Args:
            connection: where the server is and how to talk to it; or just `HOST:PORT`.

        Raises:
            UsageError: the connection's values cannot be used.
        """
        self.connection = Connection(connection) if isinstance(connection, str) else connection
        self._channel = _open(self.connection)
        self._stub = explanation_pb2_grpc.ExplanationServiceStub(self._channel)

    async def explain(self, image: ImageSource | None = None, **options: Unpack[ExplainOptions]) -> RemoteResult:
        """Classifies one image and explains classes of it.

        Args:
            image: encoded bytes, the path of a file, or RGB pixels uint8 [H, W, 3].
            options: see `ExplainOptions`.

        Raises:
            InvalidInputError: the image, the tensor or a target cannot be used, or the request is too large.
            UsageError: the model, layer or an option does not exist.
            UnsupportedError: the graph lacks what the method needs, or the model could not be loaded.
        """
        # A thread, as reading a file or encoding pixels would hold up the event loop.
        request = await asyncio.to_thread(explain_request, image, options)
        return result_from(await self._call(self._stub.Explain, request))

    async def list_models(self) -> list[ModelInfo]:
        """The models of the repository, sorted by name, then version."""
        response = await self._call(self._stub.ListModels, pb.ListModelsRequest())
        return [model_from(model) for model in response.models]

    async def get_model(self, name: str, version: str = "") -> ModelDetails:
        """One model with its whole manifest; without a version the newest.

        Raises:
            UsageError: there is no such model or version.
        """
        response = await self._call(self._stub.GetModel, pb.GetModelRequest(name=name, version=version))
        return ModelDetails(model_from(response.model), response.manifest)

    async def close(self) -> None:
        """Closes the connection; calls in flight are cancelled."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(self, method: Any, request: Any) -> Any:
        try:
            response: Awaitable[Any] = method(request, timeout=self.connection.timeout)
            return await response
        except grpc.aio.AioRpcError as error:
            raise error_from(error, self.connection.address, self.connection.timeout) from error


def _open(connection: Connection) -> grpc.aio.Channel:
    credentials = connection.credentials()
    if credentials is None:
        return grpc.aio.insecure_channel(connection.address, connection.options())
    return grpc.aio.secure_channel(connection.address, credentials, connection.options())
