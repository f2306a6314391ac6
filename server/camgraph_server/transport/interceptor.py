"""What every call of our own services gets: admission while running, errors as status codes, one log line."""

from __future__ import annotations

import asyncio
import logging
import textwrap
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, cast

import grpc
from google.protobuf.message import Message
from grpc import StatusCode
from grpc.aio import ServicerContext

from camgraph_core.errors import InvalidInputError, UnavailableError
from camgraph_server.errors import status_of
from camgraph_server.observe.log import log_event
from camgraph_server.transport.messages import Encoded
from camgraph_wire.errors import DETAILS_KEY, reason_of, status_details

_PREFIX = "/camgraph."
_LONGEST_REASON = 1000  # it travels in a header, and may quote what the caller sent
_log = logging.getLogger("camgraph.request")

Context = ServicerContext[Any, Any]
UnaryHandler = Callable[[Any, Context], Awaitable[Any]]


class Gate:
    """Counts calls in flight and refuses new ones once it is closed."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._open = True
        self._idle = asyncio.Event()
        self._idle.set()

    def close(self) -> None:
        """Refuses all further calls."""
        self._open = False

    async def drained(self, timeout: float) -> bool:
        """Waits until no call is in flight; False if that took longer than `timeout` seconds."""
        try:
            await asyncio.wait_for(self._idle.wait(), timeout)
        except TimeoutError:
            return False
        return True

    def __enter__(self) -> None:
        if not self._open:
            raise UnavailableError("The server is stopping; send the request again.")
        self.in_flight += 1
        self._idle.clear()

    def __exit__(self, *_: object) -> None:
        self.in_flight -= 1
        if self.in_flight == 0:
            self._idle.set()


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the unary calls of the packages `camgraph.*`; health and reflection pass untouched."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Puts the wrapper around the handler of one call."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or handler.unary_unary is None or not method.startswith(_PREFIX):
            return handler
        # The wrapper takes and gives bytes: gRPC would answer a message that cannot be parsed with UNKNOWN, and
        # would serialise a response again that already was.
        return grpc.unary_unary_rpc_method_handler(self._wrap(method.rpartition("/")[2], handler))

    def _wrap(self, rpc: str, handler: grpc.RpcMethodHandler[Any, Any]) -> UnaryHandler:
        inner = cast("UnaryHandler", handler.unary_unary)

        async def call(data: bytes, context: Context) -> bytes:
            started = time.perf_counter()
            request, response = None, None
            status, reason = StatusCode.CANCELLED, None  # holds if the caller goes away
            try:
                with self._gate:
                    request = _parse(rpc, data, handler.request_deserializer)
                    response = await inner(request, context)
                status = StatusCode.OK
            except Exception as error:  # whatever happened, the caller gets a status and the server lives on
                status, reason = _answer_to(error)
                await context.abort(status, reason, _details(error, reason))
            finally:
                _log_call(rpc, context, status, reason=reason, started=started, request=request, response=response)
            return response.data if isinstance(response, Encoded) else _serialize(response)

        return call


def _parse(rpc: str, data: bytes, deserialize: Callable[[bytes], Any] | None) -> Any:
    try:
        return data if deserialize is None else deserialize(data)
    except Exception as error:  # protobuf's DecodeError, or whatever another serialisation raises
        raise InvalidInputError(f"The request of {rpc} cannot be parsed; send the message of camgraph.v1.") from error


def _serialize(response: Message) -> bytes:
    return response.SerializeToString()


def _answer_to(error: Exception) -> tuple[StatusCode, str]:
    """Status and text for the caller. What is not the caller's doing goes to the log, under an identifier."""
    status = status_of(error)
    if status is not StatusCode.INTERNAL:
        return status, textwrap.shorten(str(error), _LONGEST_REASON, placeholder=" ...")
    identifier = uuid.uuid4().hex[:12]
    log_event(_log, logging.ERROR, "internal error", trace=True, error_id=identifier)
    return status, f"Internal error {identifier}; the server's log has the details under this identifier."


def _details(error: Exception, message: str) -> tuple[tuple[str, bytes], ...]:
    """Trailing metadata with the reason of the error, so that a client can raise the same exception."""
    reason = reason_of(error)
    return () if reason is None else ((DETAILS_KEY, status_details(reason, message)),)


def _log_call(
    rpc: str,
    context: Context,
    status: StatusCode,
    *,
    reason: str | None,
    started: float,
    request: Any,
    response: Any,
) -> None:
    response = response.message if isinstance(response, Encoded) else response
    timings = getattr(response, "timings", None)
    log_event(
        _log,
        logging.INFO,
        "call",
        rpc=rpc,
        status=status.name,
        ms=(time.perf_counter() - started) * 1e3,
        queue_ms=timings.queue_ms if timings is not None else None,
        inference_ms=timings.inference_ms if timings is not None else None,
        model=getattr(response, "model_name", None) or getattr(request, "model_name", None) or None,
        version=getattr(response, "model_version", None) or None,
        peer=context.peer(),
        request_id=getattr(request, "request_id", None) or None,
        reason=reason,
    )
