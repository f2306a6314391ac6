"""The way in of every HTTP request: who calls, limits, what an error becomes, and the record of the call."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.routing import Match, Route

from camgraph_core.errors import DeadlineError, UnauthenticatedError, UnknownMethodError
from camgraph_server.access.client import Client
from camgraph_server.access.door import CALLER
from camgraph_server.budget import Share
from camgraph_server.call import TRACE_HEADERS, UNKNOWN, Call
from camgraph_server.transport.http.endpoint import Answer, Asked, Endpoint
from camgraph_server.transport.http.exchange import Exchange
from camgraph_server.transport.http.receiving import Bodies
from camgraph_server.transport.http.refusing import WrongMethodError, refused
from camgraph_server.transport.http.writing import Writing
from camgraph_server.transport.refusal import Refusal, let_go
from camgraph_server.transport.rules import Rule
from camgraph_server.transport.way_in import WayIn

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

TIMEOUT_HEADER = "x-envoy-expected-rq-timeout-ms"
"""Milliseconds that the caller waits. Envoy, and so Istio, sends it of its own accord."""


class HttpReception:
    """Stands before every address, as an application of ASGI.

    Args:
        routes: The addresses; the endpoint of each is an `Endpoint`.
        way_in: What every call meets.
        bodies: Receives bodies.
        writing: Writes answers.
        max_age: Seconds after which a connection is closed when it has been answered; 0 means never.

    Attributes:
        routes: The addresses.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        way_in: WayIn,
        bodies: Bodies,
        writing: Writing,
        max_age: float,
    ) -> None:
        self.routes = routes
        self._gate, self._security = way_in.gate, way_in.security
        self._observers, self._answers = way_in.observers, way_in.answers
        self._bodies = bodies
        self._writing = writing
        self._max_age = max_age

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        exchange = Exchange(scope, receive, send)
        endpoint = self._found(exchange, scope)
        with (
            Share(self._answers) as share,
            self._observers.watching(self._call(endpoint, exchange, share)) as call,
            contextlib.ExitStack() as held,
        ):
            async with exchange.while_caller_waits():
                answer = await self._answer(endpoint, exchange, call, held)
                call.enter("write")
                call.answer.shrink_to(answer.size)
                await self._writing.write(exchange, call, answer, self._headers(exchange))
                call.sent = answer.size
                if call.reason is None:
                    call.status = "OK"

    def _found(self, exchange: Exchange, scope: Scope) -> Endpoint:
        """The endpoint of a request's address and method, or one that refuses it."""
        allowed: set[str] = set()
        for route in self.routes:
            match, child = route.matches(scope)
            if match is Match.FULL:
                exchange.variables = child["path_params"]
                endpoint: Endpoint = child["endpoint"]
                return endpoint
            if match is Match.PARTIAL:
                allowed |= route.methods or set()
        return _refusing(exchange, allowed)

    def _call(self, endpoint: Endpoint, exchange: Exchange, share: Share) -> Call:
        peer = exchange.connection.peer
        visitor = self._security.door.visitor(peer)
        trace = {name: exchange.headers[name] for name in TRACE_HEADERS if name in exchange.headers}
        return Call(
            endpoint.service,
            endpoint.name,
            peer,
            visitor,
            _deadline(exchange),
            share,
            protocol="http",
            is_quiet=endpoint.rule.is_quiet,
            trace=trace,
        )

    async def _answer(self, endpoint: Endpoint, exchange: Exchange, call: Call, held: contextlib.ExitStack) -> Answer:
        """The answer, or that of an error: whatever happened, the caller gets one and the server lives on."""
        limit = asyncio.timeout(None if call.deadline is None else call.deadline - time.monotonic())
        try:
            async with limit:
                self._admit(endpoint.rule, exchange, call, held)
                return await self._answered(endpoint, exchange, call)
        except Exception as error:  # see above
            cause: Exception = error
            if isinstance(error, TimeoutError) and limit.expired():
                cause = DeadlineError("The request was not answered before its deadline.")
            refusal = Refusal.of(cause)
            let_go(error)
            call.status, call.reason = refusal.status.name, refusal.text
            return refused(refusal, cause)

    def _admit(self, rule: Rule, exchange: Exchange, call: Call, held: contextlib.ExitStack) -> None:
        """Finds out who calls, and counts the call until it is over.

        Raises:
            UnauthenticatedError: It is not known who calls.
            UnavailableError: The server stops.
            OverLimitError: The caller has too many calls, or sends them too fast.
        """
        call.client = self._client(rule, exchange) or call.client
        CALLER.set(call.client)
        if rule.is_counted:
            self._gate.enter()
            held.callback(self._gate.leave)
        if not rule.is_open:
            held.enter_context(self._security.limits.in_flight(call.client))
            self._security.limits.take(call.client)

    async def _answered(self, endpoint: Endpoint, exchange: Exchange, call: Call) -> Answer:
        endpoint.admit(call)
        if not endpoint.takes_body:
            asked = endpoint.decode(Asked(exchange.variables, exchange.headers))
            return endpoint.encode(await endpoint.answer(asked, call), asked)
        call.enter("receive")
        with await self._bodies.memory(exchange, call) as share:
            body = await self._bodies.received(exchange)
            call.received = size = len(body)
            call.enter("decode")
            asked = await self._bodies.on_thread(endpoint.decode, Asked(exchange.variables, exchange.headers, body))
            del body
            share.shrink_to(size)
            value = await endpoint.answer(asked, call)
            call.enter("encode")
            answer = await self._bodies.on_thread(endpoint.encode, value, asked)
        call.answer.grow(max(0, answer.size - call.answer.size))
        return answer

    def _client(self, rule: Rule, exchange: Exchange) -> Client | None:
        connection = exchange.connection
        authorization = exchange.headers.getlist("authorization")
        try:
            return self._security.door.client(connection.peer, authorization, connection.certificate_names)
        except UnauthenticatedError:
            if rule.is_open:
                return None
            raise

    def _headers(self, exchange: Exchange) -> dict[str, str]:
        age = time.monotonic() - exchange.connection.began
        is_over = not self._gate.is_open or 0 < self._max_age < age
        return {"connection": "close"} if is_over else {}


def _refusing(exchange: Exchange, allowed: set[str]) -> Endpoint:
    async def refuse(_: Asked, __: Call) -> Answer:
        if allowed:
            methods = ", ".join(sorted(allowed))
            raise WrongMethodError(f"The address {exchange.path!r} takes {methods}, not {exchange.method}.", methods)
        raise UnknownMethodError(f"There is no address {exchange.path!r} here.")

    return Endpoint(UNKNOWN, UNKNOWN, refuse)


def _deadline(exchange: Exchange) -> float | None:
    """The caller's deadline on the clock of `time.monotonic`; what is no number says nothing."""
    text = exchange.headers.get(TIMEOUT_HEADER, "")
    is_number = text.isascii() and text.isdigit() and len(text) <= 10 and int(text)
    return time.monotonic() + int(text) / 1e3 if is_number else None
