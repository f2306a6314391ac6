"""The messages of a call: received within limits, decoded and encoded on threads of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from google.protobuf.message import DecodeError, Message

from camgraph_core.errors import InvalidInputError, TooLargeError
from camgraph_server.budget import Budget, Share
from camgraph_server.call import Call
from camgraph_server.config.limits import MIB
from camgraph_server.models.explaining import COPIES
from camgraph_server.transport.packed import Unpacking, is_packed
from camgraph_server.transport.receiving import Arrival, Context, receive
from camgraph_server.transport.screening import MalformedError, Screen
from camgraph_server.transport.sending import Sending

COPIES_WRITTEN = 2
"""Of an answer while it is written: ours, and gRPC's."""

_LIGHT = MIB  # bytes; to read or make such a message takes less than to hand it to a thread, if its fields are few


@dataclass(frozen=True)
class Rpc:
    """What is asked and what is answered, one message each.

    Attributes:
        name: Name of the method.
        request: The message that it takes.
        screen: What that message may hold.
        decode: From the message to what is asked; runs on a thread, or on the event loop where the message is light.
        answer: From what is asked to the value of the answer.
        encode: From that value, and what was asked, to the message of the answer, or to an iterator of several; runs on
            a thread, or on the event loop where the message is light.
        admit: Refuses a call by its headers alone, before the request is received.
        is_quick: Whether a light message is decoded in no time. It is not where a text in it has to be parsed.
        is_light: Whether the message of a value has few fields, so that it is encoded on the event loop if it is not
            large: a thread takes longer.
    """

    name: str
    request: type[Message]
    screen: Screen
    decode: Callable[[Any], Any]
    answer: Callable[[Any, Call], Awaitable[Any]]
    encode: Callable[[Any, Any], Any]
    admit: Callable[[Call], None] = lambda _: None
    is_quick: Callable[[Any], bool] = lambda _: True
    is_light: Callable[[Any], bool] = lambda _: False


@dataclass(frozen=True)
class Limits:
    """What messages may take.

    Attributes:
        max_request: Largest request in bytes.
        max_response: Largest answer in bytes.
        arrival: How long a request may take to arrive.
        unpacking: What becomes of one that is compressed.
    """

    max_request: int
    max_response: int
    arrival: Arrival
    unpacking: Unpacking


class Messages:
    """Receives, decodes and encodes messages.

    Args:
        limits: What one message may take.
        memory: Memory of requests, from when they arrive until they are answered.
        sending: Writes answers.
    """

    def __init__(self, limits: Limits, memory: Budget, sending: Sending) -> None:
        self.sending = sending
        self._limits = limits
        self._memory = memory
        self._codec = ThreadPoolExecutor(2, thread_name_prefix="camgraph-codec")

    @property
    def most_streams(self) -> int:
        """Streams that may be open: each waits for its next request with memory for the largest one."""
        return max(1, self._memory.size // 2 // self._limits.max_request)

    @property
    def max_request(self) -> int:
        """Largest request in bytes."""
        return self._limits.max_request

    async def memory(self, call: Call) -> Share:
        """Waits for the memory of the largest request; whoever has received it gives back what is not needed."""
        return await self._memory.lent_to_call(self._limits.max_request, call.client.name)

    @asynccontextmanager
    async def asked(self, rpc: Rpc, context: Context, call: Call) -> AsyncIterator[Any]:
        """What a call with one request asks, when it was admitted: received, decoded.

        Memory is held for the request until the block ends.

        Raises:
            CamgraphError: No request comes, or it asks for what cannot be.
        """
        call.enter("receive")
        with await self.memory(call) as share:
            data = await self._received(context)
            call.received = len(data)
            call.enter("decode")
            request = await self.decoded(rpc, data, share)
            del data
            yield request

    async def _received(self, context: Context) -> bytes:
        """The bytes of a call's only request; the slowest gives way where others wait for its memory."""
        data = await receive(context, partial(self._limits.arrival.check, self._memory))
        if data is None:
            raise InvalidInputError("The call ended without a request; send one message.")
        return data

    async def decoded(self, rpc: Rpc, data: bytes, memory: Share) -> Any:
        """What is asked; the memory is shrunk to what this takes.

        Raises:
            CamgraphError: The bytes are not such a message, are too many, or ask for what cannot be.
        """
        if len(data) > self._limits.max_request:  # where gRPC does not say so itself
            raise TooLargeError(f"The request has more than {self._limits.max_request / MIB:g} MiB.")
        try:
            if is_packed(data):
                return await self._on_codec(self._unpacked, rpc, data, memory)
            if len(data) <= _LIGHT and rpc.screen.finds_light(data):
                memory.shrink_to(len(data))
                message = _parsed(rpc, data)
                return rpc.decode(message) if rpc.is_quick(message) else await self._on_codec(rpc.decode, message)
            return await self._on_codec(_decode, rpc, data, memory)
        except (MalformedError, DecodeError) as error:
            raise InvalidInputError(
                f"The request of {rpc.name} cannot be parsed; send {rpc.request.DESCRIPTOR.full_name}."
            ) from error

    async def encoded(self, rpc: Rpc, value: Any, request: Any, call: Call) -> bytes:
        """The bytes of an answer.

        Raises:
            TooLargeError: There are more of them than allowed.
        """
        encode = partial(_encode, rpc, value, request, self._limits.max_response)
        if call.answer.size <= COPIES * _LIGHT and rpc.is_light(value):
            return encode()
        data: bytes = await self._on_codec(encode)
        return data

    async def next_encoded(self, messages: Iterator[Message]) -> bytes | None:
        """The bytes of the next message, which is made now; None after the last."""
        data: bytes | None = await self._on_codec(_next_encoded, messages)
        return data

    def _unpacked(self, rpc: Rpc, data: bytes, memory: Share) -> Any:
        return _decode(rpc, self._limits.unpacking.unpacked(data, self._limits.max_request), memory)

    async def _on_codec(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._codec, work, *arguments)


def _decode(rpc: Rpc, data: bytes, memory: Share) -> Any:
    memory.shrink_to(rpc.screen.check(data))
    return rpc.decode(_parsed(rpc, data))


def _parsed(rpc: Rpc, data: bytes) -> Message:
    message = rpc.request()
    message.ParseFromString(data)
    return message


def _next_encoded(messages: Iterator[Message]) -> bytes | None:
    message = next(messages, None)
    return None if message is None else bytes(message.SerializeToString())


def _encode(rpc: Rpc, value: Any, request: Any, max_bytes: int) -> bytes:
    data: bytes = rpc.encode(value, request).SerializeToString()
    if len(data) > max_bytes:
        raise TooLargeError(
            f"The answer takes {len(data) / MIB:.0f} MiB, more than the limit of {max_bytes / MIB:.0f} MiB; "
            "ask for fewer targets, or for pictures instead of arrays."
        )
    return data
