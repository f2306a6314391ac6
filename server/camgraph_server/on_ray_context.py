"""A call of Ray Serve as gRPC would give it, so that it goes the way of all calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import grpc


class AbortedError(Exception):
    """A call has its status, and nothing more is done for it."""


class Written:
    """The bytes of an answer. Ray asks messages for them."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def SerializeToString(self) -> bytes:  # noqa: D102, N802 - protobuf's own name and meaning
        return self._data


class RayContext:
    """Stands in for gRPC's context. The bytes of messages are made anew, as Ray has read them.

    Args:
        given: What Ray knows of the call.
        requests: Its messages.
    """

    def __init__(self, given: Any, requests: AsyncIterator[Any]) -> None:
        self.peer, self.invocation_metadata = given.peer, given.invocation_metadata
        self._given, self._requests = given, requests
        self._answers: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._ends: list[Callable[[Any], object]] = []

    def auth_context(self) -> dict[str, list[bytes]]:
        """Nobody shows a certificate: TLS ends before a replica."""
        return {}

    def time_remaining(self) -> None:
        """Ray does not tell the caller's deadline."""

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        """Calls it when the call is over."""
        self._ends.append(callback)

    def end(self) -> None:
        """The call is over."""
        for callback in self._ends:
            callback(self)

    async def abort(self, code: grpc.StatusCode, details: str = "", trailers: Sequence[Any] = ()) -> NoReturn:
        """Gives the call its status."""
        self._given.set_code(code)
        self._given.set_details(details)
        self._given.set_trailing_metadata(list(trailers))
        raise AbortedError

    async def read(self) -> bytes | None:
        """The bytes of the next message; None after the last."""
        message = await anext(self._requests, None)
        return None if message is None else message.SerializeToString()

    async def send_initial_metadata(self, _: object) -> None:
        """Ray sends headers with the first message alone, and callers wait for them: so an empty one opens a stream."""
        await self.write(b"")

    async def write(self, data: bytes) -> None:
        """Waits until gRPC has taken an answer."""
        await self._answers.put(data)
        await self._answers.join()

    async def written(self, call: asyncio.Task[Any]) -> AsyncIterator[Written]:
        """The answers that a call writes, until it ends."""
        call.add_done_callback(lambda _: self._answers.put_nowait(None))
        while (data := await self._answers.get()) is not None:
            yield Written(data)
            self._answers.task_done()
        with suppress(AbortedError):  # its status is set, and Ray sends it
            await call
