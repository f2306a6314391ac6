"""The way in of every call of every service: who calls, limits, what an error becomes, and the record of the call."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import grpc
from grpc import StatusCode

from camgraph_core.errors import OverLimitError, UnauthenticatedError, UnavailableError, UnknownMethodError
from camgraph_server.access.client import Client
from camgraph_server.access.door import CALLER
from camgraph_server.budget import Share
from camgraph_server.call import TRACE_HEADERS, UNKNOWN, Call, Kind
from camgraph_server.transport.handler import Handler
from camgraph_server.transport.packed import Unpacking
from camgraph_server.transport.receiving import Context
from camgraph_server.transport.refusal import Refusal, let_go
from camgraph_server.transport.rules import Rule, rule_of
from camgraph_server.transport.standard import StandardServices
from camgraph_server.transport.unreadable import Unreadable
from camgraph_server.transport.unwritten import Unwritten
from camgraph_server.transport.way_in import WayIn

_CERTIFICATE_NAMES = ("x509_subject_alternative_name", "x509_common_name")

Headers: TypeAlias = Sequence[tuple[str, str | bytes]]


class Reception(grpc.aio.ServerInterceptor):
    """Stands before every method of the server, whoever registered it.

    Every method takes a stream for gRPC: so a call is ours before its body has arrived. Callers see no difference.

    Args:
        way_in: What every call meets.
        unpacking: What becomes of compressed messages of services that others wrote.
    """

    def __init__(self, way_in: WayIn, unpacking: Unpacking) -> None:
        self._gate, self._security = way_in.gate, way_in.security
        self._observers, self._answers = way_in.observers, way_in.answers
        self._standard = StandardServices(unpacking)
        self._unwritten = Unwritten.of_grpc()
        Unreadable.keep_out()
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        self._open: Counter[tuple[str, ...]] = Counter()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """The handler by which a call comes in."""
        method = handler_call_details.method
        if method not in self._handlers:
            found = await continuation(handler_call_details)
            if found is None:
                return self._received(f"/{UNKNOWN}/{UNKNOWN}", _unknown(method))
            ours = found if isinstance(found, Handler) else self._standard.handler(found)
            self._handlers[method] = self._received(method, ours)
        return self._handlers[method]

    def _received(self, method: str, handler: Handler) -> grpc.RpcMethodHandler[Any, Any]:
        rule = rule_of(method)
        service, _, name = method.removeprefix("/").rpartition("/")

        async def serve(_: object, context: Context) -> bytes | None:
            headers = tuple(context.invocation_metadata() or ())
            call = self._call(service, name, handler.kind, rule, context, headers)
            held: list[Callable[[], object]] = []  # what gives back what the call has taken
            task = asyncio.current_task()
            aborted: list[BaseException] = []
            self._observers.begin(call)

            def end(_: object) -> None:  # when its answer and its status have been written, too
                if call.status == StatusCode.OK.name and task in self._unwritten:
                    call.status = StatusCode.CANCELLED.name
                if handler.kind == "unary" and call.status != StatusCode.OK.name:
                    call.sent = None  # its one answer did not arrive
                while held:
                    held.pop()()
                self._observers.end(call)
                call.answer.close()
                while aborted:  # gRPC keeps it in a cycle, with all frames that it went through
                    aborted.pop().__traceback__ = None

            context.add_done_callback(end)  # type: ignore[arg-type]  # the stubs ask for a class of their own
            try:
                self._admit(method, rule, call, context, headers, held)
                answer = await handler.way(context, call)
                call.status = StatusCode.OK.name
                return answer
            except grpc.aio.InternalError:  # gRPC's own: it could not write or read, as the caller has gone
                await context.abort(StatusCode.CANCELLED, "The call was given up.")
            except Exception as error:  # whatever happened, the caller gets a status and the server lives on
                refusal = Refusal.of(error)
                if call.received is not None:
                    let_go(error)
                call.status, call.reason = refusal.status.name, refusal.text
            try:  # outside of the handlers above, as what gRPC raises would lead to the error, and keep it
                await context.abort(refusal.status, refusal.text, refusal.trailers)
            except grpc.aio.AbortError as error:
                aborted.append(error)
                raise

        if handler.kind == "unary":
            return grpc.stream_unary_rpc_method_handler(serve)
        return grpc.stream_stream_rpc_method_handler(serve)

    def _call(self, service: str, name: str, kind: Kind, rule: Rule, context: Context, headers: Headers) -> Call:
        peer = context.peer()
        return Call(
            service,
            name,
            peer,
            self._security.door.visitor(peer),
            _deadline(context),
            Share(self._answers),
            kind=kind,
            is_quiet=rule.is_quiet,
            trace={key: str(value) for key, value in headers if key in TRACE_HEADERS},
        )

    def _admit(
        self, method: str, rule: Rule, call: Call, context: Context, headers: Headers, held: list[Callable[[], object]]
    ) -> None:
        """Finds out who calls, and counts the call until it is over.

        Raises:
            UnauthenticatedError: It is not known who calls.
            UnavailableError: The server stops, or has too many calls of the method.
            OverLimitError: The caller has too many calls, or sends them too fast.
        """
        call.client = self._client(rule, call, context, headers) or call.client
        CALLER.set(call.client)
        if rule.is_counted:
            self._gate.enter()
            held.append(self._gate.leave)
        if rule.most is not None:
            held.append(self._counted(method, rule.most, rule.most_of_one, call))
        if not rule.is_open:
            if call.client.calls_at_once is not None:
                self._security.limits.enter(call.client)
                held.append(partial(self._security.limits.leave, call.client))
            if call.kind != "bidi_stream":  # of which each request counts
                self._security.limits.take(call.client)

    def _client(self, rule: Rule, call: Call, context: Context, headers: Headers) -> Client | None:
        authorization = [str(value) for key, value in headers if key == "authorization"]
        try:
            return self._security.door.client(call.peer, authorization, self._certificate_names(context))
        except UnauthenticatedError:
            if rule.is_open:
                return None
            raise

    def _certificate_names(self, context: Context) -> list[str]:
        if self._security.certificate is None:
            return []
        shown = context.auth_context()
        return [name.decode(errors="replace") for key in _CERTIFICATE_NAMES for name in shown.get(key, ())]

    def _counted(self, method: str, most: int, most_of_one: int, call: Call) -> Callable[[], None]:
        """Counts a call of a method with a limit; what it returns ends that."""
        of_all, of_one = (method,), (method, call.client.name)
        if self._open[of_all] >= most:
            raise UnavailableError(f"The server has {most} calls of {call.rpc}, which is its limit; try later.")
        if self._open[of_one] >= most_of_one:
            raise OverLimitError(f"You have {most_of_one} calls of {call.rpc}, which is the limit; end one first.")
        self._open.update((of_all, of_one))

        def leave() -> None:
            self._open.subtract((of_all, of_one))
            if not self._open[of_one]:
                del self._open[of_one]

        return leave


def _unknown(method: str) -> Handler:
    async def refuse(_: Context, __: Call) -> None:
        raise UnknownMethodError(f"There is no method {method} here.")

    return Handler(refuse)


def _deadline(context: Context) -> float | None:
    """The caller's deadline on the clock of `time.monotonic`."""
    remaining: float | None = context.time_remaining()
    return None if remaining is None else time.monotonic() + remaining
