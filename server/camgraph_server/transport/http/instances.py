"""The images of one request: each is a call of its own for limits and records, several at once."""

from __future__ import annotations

import asyncio
from functools import partial

from camgraph_core.result import Result
from camgraph_server.call import Call
from camgraph_server.transport.inner_calls import Explaining, InnerCalls
from camgraph_wire.open_inference.explanations import AskedExplanation


class Instances:
    """Explains the images of requests.

    Args:
        explaining: What explains one.
        inner: Makes the call of each image of several.
        most: Images of one request that are in flight.
    """

    def __init__(self, explaining: Explaining, inner: InnerCalls, most: int) -> None:
        self._explaining = explaining
        self._inner = inner
        self._most = most

    async def explain(self, asked: list[AskedExplanation], call: Call) -> list[Result]:
        """A result for each image, in their order.

        Raises:
            CamgraphError: One of them cannot be explained; the others are given up.
        """
        if len(asked) == 1:
            return [await self._explaining.explain(asked[0], call)]
        call.items = len(asked)
        call.model, call.request_id = asked[0].addressed.model, asked[0].addressed.request.request_id or None
        waiting = iter(enumerate(asked))
        results: dict[int, Result] = {}

        async def explain_waiting() -> None:
            for number, one in waiting:
                answer = partial(self._explaining.explain, one)
                results[number] = await self._inner.answered(call, "Instance", number, answer, counts=number > 0)

        at_once = min(len(asked), self._most, call.client.calls_at_once or self._most)
        try:
            async with asyncio.TaskGroup() as group:  # a task for each image would hold up the event loop
                for _ in range(at_once):
                    group.create_task(explain_waiting())
        except BaseExceptionGroup as errors:  # the caller is told of the first
            raise errors.exceptions[0] from None
        return [results[number] for number in range(len(asked))]
