"""Callers that never rest: each on a connection of its own, without retries, one call after the other."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

import grpc

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub

OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
_PAUSE = 0.02  # seconds after a refusal


class Herd:
    """Counts what became of the calls.

    Attributes:
        codes: How often each status came.
    """

    def __init__(self) -> None:
        self.codes: Counter[str] = Counter()
        self._is_over = False

    @contextlib.asynccontextmanager
    async def calling(self, address: str, callers: int, request: pb.ExplainRequest) -> AsyncIterator[None]:
        """Calls while it is entered; what is under way at the end is answered or refused yet."""
        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(self._call(address, request))
            try:
                yield
            finally:
                self._is_over = True

    async def _call(self, address: str, request: pb.ExplainRequest) -> None:
        async with grpc.aio.insecure_channel(address, OWN_CONNECTION) as channel:
            stub = ExplanationServiceStub(channel)
            while not self._is_over:
                try:
                    await stub.Explain(request, timeout=60)
                    self.codes["OK"] += 1
                except grpc.RpcError as error:
                    self.codes[error.code().name] += 1
                    await asyncio.sleep(_PAUSE)
