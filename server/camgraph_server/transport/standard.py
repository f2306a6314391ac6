"""Services that others wrote: their methods, served by the same way in as ours.

Their messages are small, and arrive with their headers. So each is received apart from the memory of our requests: a
health check is answered while that is full. One that is late takes one of a few places, and the next that is late takes
it over: gRPC holds what has come of a message, up to the largest request of the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from camgraph_core.errors import DeadlineError, InvalidInputError, UnavailableError
from camgraph_server.call import Call
from camgraph_server.transport.handler import Handler
from camgraph_server.transport.packed import Unpacking, is_packed
from camgraph_server.transport.receiving import Context, bytes_of

_LONGEST_MESSAGE = 65_536  # bytes
_AT_ONCE = 0.05  # seconds after which a message is late
_MOST_LATE = 4
_PATIENCE = 10.0  # seconds that a message may take to arrive


class StandardServices:
    """Serves handlers of any of gRPC's four kinds as streams of bytes.

    Args:
        unpacking: What becomes of compressed messages.
    """

    def __init__(self, unpacking: Unpacking) -> None:
        self._unpacking = unpacking
        self._late: list[asyncio.Future[Any]] = []

    def handler(self, handler: grpc.RpcMethodHandler[Any, Any]) -> Handler:
        """Serves such a method as ours are."""
        function: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        decode: Any = handler.request_deserializer or bytes
        encode: Any = handler.response_serializer or bytes

        async def answer(context: Context, _: Call) -> bytes | None:
            requests = self._requests(decode, context)
            asked = requests if handler.request_streaming else await anext(requests, None)
            if asked is None:
                raise InvalidInputError("The call ended without a request; send one message.")
            if handler.response_streaming:
                async for response in function(asked, context):
                    await context.write(encode(response))
                return None
            answered: bytes = encode(await function(asked, context))
            return answered

        if handler.request_streaming:
            return Handler(answer, "bidi_stream")
        return Handler(answer, "server_stream" if handler.response_streaming else "unary")

    async def _requests(self, decode: Callable[[bytes], Any], context: Context) -> AsyncIterator[Any]:
        while (data := await self._received(context)) is not None:
            if len(data) > _LONGEST_MESSAGE:
                raise InvalidInputError(f"The message has {len(data)} bytes; the limit is {_LONGEST_MESSAGE}.")
            whole = self._unpacking.unpacked(data, _LONGEST_MESSAGE) if is_packed(data) else data
            try:
                message = decode(whole)
            except Exception as error:  # each message's own decoder, on a stranger's bytes
                raise InvalidInputError("The request cannot be parsed; send the message of this method.") from error
            yield message

    async def _received(self, context: Context) -> bytes | None:
        """The bytes of the next message, or None at the end of the stream."""
        reading = asyncio.ensure_future(context.read())
        try:
            if not (await asyncio.wait({reading}, timeout=_AT_ONCE))[0]:
                await self._wait_for(reading)
            return await bytes_of(reading.result())
        finally:
            reading.cancel()

    async def _wait_for(self, reading: asyncio.Future[Any]) -> None:
        if len(self._late) >= _MOST_LATE:
            self._late.pop(0).cancel()
        self._late.append(reading)
        try:
            arrived, _ = await asyncio.wait({reading}, timeout=_PATIENCE)
        finally:
            if reading in self._late:
                self._late.remove(reading)
        if reading.cancelled():
            raise UnavailableError("The request arrives so slowly that it gave way to another; send it again.")
        if not arrived:
            raise DeadlineError(f"The request did not arrive within {_PATIENCE:.0f} s.")
