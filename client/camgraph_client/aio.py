"""The asynchronous client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Self, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from camgraph.v1 import explanation_pb2 as pb
from camgraph_client.calls import Calls, Stub
from camgraph_client.channel import Connection
from camgraph_client.clips import AsyncRemoteClipModel
from camgraph_client.course import AHEAD, Asking, Outcome
from camgraph_client.errors import error_from
from camgraph_client.many_aio import AsyncMany
from camgraph_client.opening import open_aio_channel
from camgraph_client.remote import AsyncRemote
from camgraph_client.sending import encoded, result_of, result_of_pieces
from camgraph_client.tries import Tries
from camgraph_core.explains import Explains
from camgraph_core.painter import ImageSource
from camgraph_core.request import Addressed, Request
from camgraph_core.types import AnyArray
from camgraph_wire.chunks import Assembled
from camgraph_wire.requests import request_message

if TYPE_CHECKING:
    from camgraph_core.result import Result

V = TypeVar("V")


class AsyncClient(Calls):
    """Talks to one camgraph server; safe to share between tasks of one event loop.

    ::

        async with AsyncClient("localhost:8500") as client:
            result = await client.model("efficientnet_lite0").explain("cat.png", top_k=2)

    Every call raises `UnavailableError` if no server answers or it is overloaded, `DeadlineError` if it
    takes too long, and `RemoteError` if the server fails.

    Args:
        connection: Where the server is and how to talk to it; or just ``HOST:PORT``. It connects at the first call.

    Raises:
        UsageError: The connection's values cannot be used.

    """

    def __init__(self, connection: Connection | str) -> None:
        self.connection = Connection(connection) if isinstance(connection, str) else connection
        self._channel = open_aio_channel(self.connection)
        self._stub = Stub(self._channel)

    def model(self, name: str = "", version: str = "", *, chunked: bool = False) -> AsyncRemoteModel:
        """A model of the server, which explains as an `Explainer` does; ``explain`` is awaited. Nothing is sent yet.

        Args:
            name: Its name; may be left out if the server has exactly one.
            version: Its version; the newest by default.
            chunked: Whether answers come in pieces, for arrays beyond the size of a message.

        """
        return AsyncRemoteModel(self, name, version, chunked=chunked)

    def clip_model(self, name: str = "", version: str = "", *, chunked: bool = False) -> AsyncRemoteClipModel:
        """A model of the server that takes clips or volumes, which explains as a `ClipExplainer` does.

        Nothing is sent yet; ``explain`` is awaited. For each clip it asks the server which frames the model takes, and
        sends these alone.

        Args:
            name: Its name; may be left out if the server has exactly one.
            version: Its version; the newest by default.
            chunked: Whether answers come in pieces, for arrays beyond the size of a message.

        """
        return AsyncRemoteClipModel(self, name, version, chunked=chunked)

    async def send(self, rpc: str, request: Message, value: Callable[[Any], V]) -> V:
        """Calls the service by the name of a call, and makes a value of the answer."""
        tries = Tries(self.connection, rpc)
        while True:
            try:
                return value(await getattr(self._stub, rpc)(request, timeout=tries.seconds))
            except grpc.aio.AioRpcError as error:
                pause = tries.again(error)
                if pause is None:
                    raise error_from(error, self.connection.address, self.connection.timeout) from error
            await asyncio.sleep(pause)

    def stream(self, asking: Asking, ahead: int) -> AsyncMany:
        """Explains many images; see `AsyncRemoteModel.explain_many`."""
        return AsyncMany(self._stub.ExplainStream, self.connection, asking, ahead)

    async def gather(self, request: Message, value: Callable[[Assembled], V]) -> V:
        """Calls `ExplainChunked`, and makes a value of the pieces of its answer."""
        tries = Tries(self.connection, "ExplainChunked")
        while True:
            assembled = Assembled()
            try:
                async for piece in self._stub.ExplainChunked(request, timeout=tries.seconds):
                    assembled.add(piece)
            except grpc.aio.AioRpcError as error:
                pause = tries.again(error)
                if pause is None:
                    raise error_from(error, self.connection.address, self.connection.timeout) from error
            else:
                return value(assembled)
            await asyncio.sleep(pause)

    async def close(self) -> None:
        """Closes the connection; calls in flight are cancelled."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncRemoteModel(AsyncRemote, Explains[Awaitable["Result"]]):
    """A model of a server; see `AsyncClient.model`. To close it closes the client."""

    def explain_many(
        self, images: Iterable[ImageSource] | AsyncIterable[ImageSource], *, ahead: int = AHEAD, **options: Any
    ) -> AsyncGenerator[Outcome]:
        """Explains many images over one stream: while answers are read, the next images are sent and worked on.

        ::

            async for outcome in model.explain_many(frames, outputs=["overlay-jpeg"]):
                show(outcome.result.explanations[0].overlay_jpeg)

        Outcomes come in the order of the images, one each. What is wrong with one image is its outcome's ``error``,
        and the others go on. An iterable that is not asynchronous is read on a thread, and what it raises is raised
        here after the outcomes before it. Every image may take `Connection.timeout` seconds on the server, from when
        that has read it. Where the stream breaks, as the server stops or the connection fails, it is opened again, and
        what has no answer is sent again: `Connection.attempts` times in a row without an answer between.

        Args:
            images: Sources of images, as `explain` takes them, from any iterable or asynchronous iterable; they may
                never end.
            ahead: Images that are read before the first of them has an outcome.
            options: Keywords of `explain`, the same for each image.

        Raises:
            UsageError: A keyword cannot be used, for any image.
            RemoteError: The stream failed.

        """
        asking = Asking(self._name, self._version, options, self._client.connection.timeout)
        return self._client.stream(asking, ahead).outcomes(images)

    async def _explain(self, image: ImageSource | None, tensor: AnyArray | None, request: Request) -> Result:
        # A thread, as reading a file or encoding pixels would hold up the event loop.
        data = await asyncio.to_thread(encoded, image) if image is not None else None
        sent = Addressed(request=request, image=data, tensor=tensor, model=self._name, version=self._version)
        message = await asyncio.to_thread(request_message, sent)
        if self._chunked:
            request_in_chunks = pb.ExplainChunkedRequest(request=message)
            return await self._client.gather(request_in_chunks, lambda pieces: result_of_pieces(pieces, sent))
        return await self._client.send("Explain", message, lambda message: result_of(message, sent))
