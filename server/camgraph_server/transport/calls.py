"""The way of every call of our services: admitted at its headers, received, decoded, answered, written, logged."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from traceback import clear_frames
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError, Message
from grpc.aio import ServicerContext

from camgraph_core.errors import DeadlineError, InvalidInputError, TooLargeError, UnavailableError
from camgraph_server.budget import Budget, Share
from camgraph_server.call import Call
from camgraph_server.observe.log import log_event
from camgraph_server.scheduling.gate import Gate
from camgraph_server.transport.refusal import Refusal
from camgraph_server.transport.screening import MalformedError, Screen

Context: TypeAlias = ServicerContext[Any, Any]

_MIB = 1024 * 1024
_LOOK = 0.5  # seconds between two looks at a request that is slow to arrive
_PATIENCE_IN_NEED = 5.0  # seconds that a request may take to arrive while others wait for its memory
_COPIES_WRITTEN = 2  # of an answer: ours, and gRPC's
_log = logging.getLogger("camgraph.request")


@dataclass(frozen=True)
class Rpc:
    """One method of a service.

    Attributes:
        name: Its name.
        request: The message that it takes.
        screen: What that message may hold.
        decode: From the message to what is asked; runs on a thread.
        answer: From what is asked to the value of the answer.
        encode: From that value, and what was asked, to the message of the answer; runs on a thread.
        admit: Refuses a call by its headers alone, before the request is received.
    """

    name: str
    request: type[Message]
    screen: Screen
    decode: Callable[[Any], Any]
    answer: Callable[[Any, Call], Awaitable[Any]]
    encode: Callable[[Any, Any], Message]
    admit: Callable[[Call], None] = lambda _: None


@dataclass(frozen=True)
class Limits:
    """What calls may take.

    Attributes:
        max_request: Largest request in bytes.
        max_response: Largest answer in bytes.
        patience: Seconds that a request may take to arrive.
    """

    max_request: int
    max_response: int
    patience: float


class Calls:
    """Serves the methods of a service.

    Every method is a stream for gRPC, of one message each way: so the call is ours before its body has arrived, and we
    learn when its answer has been written. Callers see no difference.

    Args:
        gate: Counts the calls.
        limits: What one call may take.
        received: Memory of requests, from when they arrive until they are answered.
        answers: Memory of answers, from when they are drawn until they are written.
    """

    def __init__(self, gate: Gate, limits: Limits, received: Budget, answers: Budget) -> None:
        self._gate = gate
        self._limits = limits
        self._received = received
        self._answers = answers
        self._codec = ThreadPoolExecutor(2, thread_name_prefix="camgraph-codec")

    def handler(self, rpc: Rpc) -> grpc.RpcMethodHandler[Any, Any]:
        """The handler of a method for gRPC. It takes and gives bytes."""

        async def serve(_: object, context: Context) -> None:
            with Share(self._answers) as share:
                call = Call(rpc.name, context.peer(), _deadline(context), share)
                try:
                    with self._gate:
                        await self._answer(rpc, context, call)
                    call.status = grpc.StatusCode.OK.name
                except Exception as error:  # whatever happened, the caller gets a status and the server lives on
                    refusal = Refusal.of(error)
                    clear_frames(error.__traceback__)  # they hold the request, until the garbage collector comes
                    call.status, call.reason = refusal.status.name, refusal.text
                    await context.abort(refusal.status, refusal.text, refusal.trailers)
                finally:
                    _log_call(call)

        return grpc.stream_stream_rpc_method_handler(serve)

    async def _answer(self, rpc: Rpc, context: Context, call: Call) -> None:
        rpc.admit(call)
        async with self._received.lent_to_call(self._limits.max_request) as share:
            data = await self._receive(context)
            call.received = len(data)
            share.shrink_to(len(data))
            request = await self._on_codec(_decode, rpc, data)
            del data
            value = await rpc.answer(request, call)
            encoded = await self._on_codec(_encode, rpc, value, request, self._limits.max_response)
            del request, value
        call.sent = len(encoded)
        call.answer.shrink_to(_COPIES_WRITTEN * len(encoded))
        await context.write(encoded)

    async def _receive(self, context: Context) -> bytes:
        """Waits for the request's bytes; the slowest gives way where others wait for its memory."""
        reading, began = asyncio.ensure_future(context.read()), time.monotonic()
        try:
            while not (await asyncio.wait({reading}, timeout=_LOOK))[0]:
                waited = time.monotonic() - began
                if waited > self._limits.patience:
                    raise DeadlineError(f"The request did not arrive within {self._limits.patience:.0f} s.")
                if waited > _PATIENCE_IN_NEED and self._received.is_wanted:
                    raise UnavailableError(
                        "The request arrives so slowly that others cannot be received; send it again later.",
                        retry_after=_PATIENCE_IN_NEED,
                    )
            data = reading.result()
        finally:
            reading.cancel()
        if data is grpc.aio.EOF:
            raise InvalidInputError("The call ended without a request; send one message.")
        received: bytes = data
        return received

    async def _on_codec(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._codec, work, *arguments)


def _decode(rpc: Rpc, data: bytes) -> Any:
    message = rpc.request()
    try:
        rpc.screen.check(data)
        message.ParseFromString(data)
    except (MalformedError, DecodeError) as error:
        raise InvalidInputError(
            f"The request of {rpc.name} cannot be parsed; send the message of camgraph.v1."
        ) from error
    return rpc.decode(message)


def _encode(rpc: Rpc, value: Any, request: Any, max_bytes: int) -> bytes:
    data: bytes = rpc.encode(value, request).SerializeToString()
    if len(data) > max_bytes:
        raise TooLargeError(
            f"The answer takes {len(data) / _MIB:.0f} MiB, more than the limit of {max_bytes / _MIB:.0f} MiB; "
            "ask for fewer targets, or for pictures instead of arrays."
        )
    return data


def _deadline(context: Context) -> float | None:
    """The caller's deadline on the clock of `time.monotonic`."""
    remaining: float | None = context.time_remaining()
    return None if remaining is None else time.monotonic() + remaining


def _log_call(call: Call) -> None:
    log_event(
        _log,
        logging.INFO,
        "call",
        rpc=call.rpc,
        status=call.status,
        ms=call.elapsed_ms,
        queue_ms=call.queue_ms,
        inference_ms=call.inference_ms,
        model=call.model,
        version=call.version,
        peer=call.peer,
        request_id=call.request_id,
        received=call.received,
        sent=call.sent,
        reason=call.reason,
    )
