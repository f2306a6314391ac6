"""The images of one request: each is a call of its own for limits and records, several at once."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from camgraph_core.errors import CamgraphError
from camgraph_core.result import Result
from camgraph_server.access.limits import ClientLimits
from camgraph_server.call import Call
from camgraph_server.observe.observers import Observers
from camgraph_server.service.service import Service
from camgraph_server.transport.refusal import Refusal
from camgraph_wire.open_inference.explanations import AskedExplanation


class Instances:
    """Explains the images of requests.

    Args:
        service: What explains one.
        observers: Are told of each image of several.
        limits: Holds each client to its limits.
        most: Images of one request that are in flight.
    """

    def __init__(self, service: Service, observers: Observers, limits: ClientLimits, most: int) -> None:
        self._service = service
        self._observers = observers
        self._limits = limits
        self._most = most

    async def explain(self, asked: list[AskedExplanation], call: Call) -> list[Result]:
        """A result for each image, in their order.

        Raises:
            CamgraphError: One of them cannot be explained; the others are given up.
        """
        if len(asked) == 1:
            return [await self._service.explain_image(asked[0].addressed, call)]
        call.items = len(asked)
        call.model, call.request_id = asked[0].addressed.model, asked[0].addressed.request.request_id or None
        places = asyncio.Semaphore(min(self._most, call.client.calls_at_once or self._most))
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._one(number, one, call, places)) for number, one in enumerate(asked)]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _one(self, number: int, asked: AskedExplanation, whole: Call, places: asyncio.Semaphore) -> Result:
        async with places:
            if number:  # the first is counted with its request
                self._limits.take(whole.client)
            item = replace(
                whole,
                item=str(number),
                items=None,
                received=None,
                started=time.monotonic(),
                came=time.time(),
                timeline=[],
            )
            with self._observers.watching(item):
                try:
                    result = await self._service.explain_image(asked.addressed, item)
                except Exception as error:
                    if isinstance(error, CamgraphError):
                        error.args = (f"Instance {number}: {error}",)
                    refusal = Refusal.of(error)
                    item.status, item.reason = refusal.status.name, refusal.text
                    raise
                item.status = "OK"
                return result
