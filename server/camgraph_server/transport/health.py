"""The standard health service, `grpc.health.v1.Health`.

Names: `""` is the server as a whole, `camgraph.v1.ExplanationService` the service; each model has its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from grpc.aio import ServicerContext
from grpc_health.v1 import health_pb2, health_pb2_grpc

from camgraph_core.errors import NotFoundError
from camgraph_server.access.door import CALLER

_Check = health_pb2.HealthCheckRequest
_Answer = health_pb2.HealthCheckResponse


class HealthServicer(health_pb2_grpc.HealthServicer):
    """Holds a status for each name and tells watchers of every change.

    The servicer of grpcio-health-checking forgets the other watchers of a name when one of them leaves;
    this one keeps one condition for all.

    Args:
        services: Names that are no models, which every caller may ask for.
    """

    def __init__(self, services: Sequence[str]) -> None:
        self._open_names = {"", *services}
        self._serving: dict[str, bool] = {"": False}
        self._changed = asyncio.Condition()
        self._stopping = False

    async def set(self, statuses: dict[str, bool]) -> None:
        """Sets SERVING (True) or NOT_SERVING (False) for all names that there are.

        A name that is left out is not known any more. Ignored once the server is stopping.
        """
        if not self._stopping:
            await self._update(statuses)

    @property
    def is_serving(self) -> bool:
        """Whether the server as a whole is."""
        return self._serving[""]

    async def stop(self) -> None:
        """Sets NOT_SERVING for every name, for good, and ends all watches after they were told."""
        self._stopping = True
        await self._update(dict.fromkeys(self._serving, False))

    async def Check(self, request: _Check, _: ServicerContext[_Check, _Answer]) -> _Answer:  # noqa: N802 - the protocol's name
        """Answers with the status of a name; NOT_FOUND for an unknown one."""
        if request.service not in self._serving or self._is_withheld(request.service):
            raise NotFoundError(f"There is nothing called {request.service!r} here.")
        return _Answer(status=self._status(request.service))

    async def Watch(  # noqa: N802 - the protocol's name
        self, request: _Check, _: ServicerContext[_Check, _Answer]
    ) -> AsyncIterator[_Answer]:
        """Streams the status of a name: now, and on each change; ends when the server stops."""
        told: int | None = None
        while True:
            status = self._status(request.service)
            if status != told:
                told = status
                yield _Answer(status=status)
            elif self._stopping:
                return
            else:
                await self._change_from(request.service, status)

    async def _change_from(self, name: str, status: int) -> None:
        async with self._changed:
            if self._status(name) == status and not self._stopping:  # it may have changed before the lock
                await self._changed.wait()

    def _is_withheld(self, name: str) -> bool:
        """Whether it is a model that the caller may not know of."""
        return name not in self._open_names and not CALLER.get().may_use(name)

    def _status(self, name: str) -> int:
        if name not in self._serving or self._is_withheld(name):
            return _Answer.SERVICE_UNKNOWN
        return _Answer.SERVING if self._serving[name] else _Answer.NOT_SERVING

    async def _update(self, statuses: dict[str, bool]) -> None:
        async with self._changed:
            self._serving = dict(statuses)
            self._changed.notify_all()
