"""What every call of our services has, whatever its messages: it is counted, ends with a status, and is observed."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from traceback import clear_frames
from typing import Any, TypeAlias

import grpc

from camgraph_server.budget import Budget, Share
from camgraph_server.call import Call
from camgraph_server.observe.observers import Observers
from camgraph_server.scheduling.gate import Gate
from camgraph_server.transport.messages import Context
from camgraph_server.transport.refusal import Refusal

_TRACE_HEADERS = ("traceparent", "tracestate")  # of W3C Trace Context

Way: TypeAlias = Callable[[Context, Call], Awaitable[None]]
"""Reads the messages of a call and writes its answers."""


class Calls:
    """Serves the methods of a service.

    Every method is a stream for gRPC, also one with a single message each way: so the call is ours before its body has
    arrived, and we learn when its answer has been written. Callers see no difference.

    Args:
        gate: Counts the calls.
        answers: Memory of answers, from when they are drawn until they are written.
        observers: Are told of every call.
    """

    def __init__(self, gate: Gate, answers: Budget, observers: Observers) -> None:
        self._gate = gate
        self._observers = observers
        self._answers = answers

    def handler(self, service: str, name: str, way: Way) -> grpc.RpcMethodHandler[Any, Any]:
        """The handler of a method for gRPC. It takes and gives bytes."""

        async def serve(_: object, context: Context) -> None:
            with Share(self._answers) as share, self._observers.watching(_call(service, name, context, share)) as call:
                try:
                    with self._gate:
                        await way(context, call)
                    call.status = grpc.StatusCode.OK.name
                except Exception as error:  # whatever happened, the caller gets a status and the server lives on
                    refusal = Refusal.of(error)
                    clear_frames(error.__traceback__)  # they hold the request, until the garbage collector comes
                    call.status, call.reason = refusal.status.name, refusal.text
                    await context.abort(refusal.status, refusal.text, refusal.trailers)

        return grpc.stream_stream_rpc_method_handler(serve)


def _call(service: str, name: str, context: Context, share: Share) -> Call:
    metadata = context.invocation_metadata() or ()
    trace = {key: str(value) for key, value in metadata if key in _TRACE_HEADERS}
    return Call(service, name, context.peer(), _deadline(context), share, trace=trace)


def _deadline(context: Context) -> float | None:
    """The caller's deadline on the clock of `time.monotonic`."""
    remaining: float | None = context.time_remaining()
    return None if remaining is None else time.monotonic() + remaining
