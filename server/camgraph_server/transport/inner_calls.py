"""Calls within one call: each counts for limits and records as a call of its own."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from camgraph_core.errors import CamgraphError
from camgraph_core.result import Result
from camgraph_server.access.limits import ClientLimits
from camgraph_server.call import Call
from camgraph_server.observe.observers import Observers
from camgraph_server.service.service import Service
from camgraph_server.transport.refusal import Refusal
from camgraph_wire.open_inference.explanations import AskedExplanation


class InnerCalls:
    """Makes calls within calls.

    Args:
        observers: Are told of each.
        limits: Holds each client to its limits.
    """

    def __init__(self, observers: Observers, limits: ClientLimits) -> None:
        self._observers = observers
        self._limits = limits

    async def answered(
        self, whole: Call, kind: str, number: int, answer: Callable[[Call], Awaitable[Result]], *, counts: bool = True
    ) -> Result:
        """The answer to a call within another one.

        Args:
            whole: The other one.
            kind: What it is about, for errors, such as "Instance".
            number: Which of its kind.
            answer: Answers it.
            counts: Whether it takes one off what the client may send; the whole call has taken one already.

        Raises:
            CamgraphError: It cannot be answered, or the client sends more than it may.
        """
        if counts:
            self._limits.take(whole.client)
        inner = replace(
            whole,
            item=str(number) if whole.item is None else f"{whole.item}.{number}",
            items=None,
            received=None,
            started=time.monotonic(),
            came=time.time(),
            timeline=[],
        )
        with self._observers.watching(inner):
            try:
                result = await answer(inner)
            except Exception as error:  # it is noted, and goes on
                if isinstance(error, CamgraphError):
                    error.args = (f"{kind} {number}: {error}",)
                refusal = Refusal.of(error)
                inner.status, inner.reason = refusal.status.name, refusal.text
                raise
            inner.status = "OK"
            return result


class Explaining:
    """Explains what is asked with inputs of the Open Inference Protocol: each reference is embedded by an inner call.

    Args:
        service: What explains.
        inner: Makes the inner calls.
    """

    def __init__(self, service: Service, inner: InnerCalls) -> None:
        self._service = service
        self._inner = inner

    async def explain(self, asked: AskedExplanation, call: Call) -> Result:
        """The result of a request.

        Raises:
            CamgraphError: It cannot be answered, or a reference cannot be used.
        """
        embeddings = []
        for number, addressed in enumerate(asked.of_references):
            answer = partial(self._service.explain_image, addressed)
            result = await self._inner.answered(call, "Reference", number, answer)
            embeddings.append(result.embedding)
        return await self._service.explain_image(asked.held_against(embeddings), call)
