"""Many images over a stream, for programs with an event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from functools import partial
from typing import Any

import grpc
import grpc.aio

from camgraph_client.channel import Connection
from camgraph_client.course import Asking, Course, Outcome, sendable
from camgraph_client.errors import error_from
from camgraph_core.errors import CamgraphError, UnavailableError
from camgraph_core.painter import ImageSource

_END = object()
_BROKEN_WRITE = "Internal error from Core"  # what grpc.aio makes of a write to a stream that has just ended


class AsyncMany:
    """Reads images in a task of its own, and gives the outcomes in their order; see `Many`."""

    def __init__(self, open_stream: Any, connection: Connection, asking: Asking, ahead: int) -> None:
        self._open_stream, self._connection, self._asking = open_stream, connection, asking
        self._course = Course(connection, ahead)
        self._changed = asyncio.Condition()

    async def outcomes(self, images: Iterable[ImageSource] | AsyncIterable[ImageSource]) -> AsyncGenerator[Outcome]:
        """The outcome of each image; see `AsyncRemoteModel.explain_many`."""
        reading = asyncio.create_task(self._read(images))
        try:
            while await self._has_work():
                for outcome in await self._noted(self._course.failed):
                    yield outcome
                try:
                    async with contextlib.aclosing(self._answers()) as outcomes:
                        async for outcome in outcomes:
                            yield outcome
                except grpc.aio.AioRpcError as error:
                    await asyncio.sleep(self._course.pause_after(self._error(error)))
        finally:
            await _ended(reading)
        if self._course.failure is not None:
            raise self._course.failure

    async def _read(self, images: Iterable[ImageSource] | AsyncIterable[ImageSource]) -> None:
        failure = None
        try:
            index = 0
            async for image in _each(images):
                asked = await asyncio.to_thread(self._asking.asked, index, image)
                async with self._changed:
                    await self._changed.wait_for(lambda: not self._course.is_full)
                    self._course.add(asked)
                    self._changed.notify_all()
                index += 1
        except Exception as error:  # it is raised where the outcomes are read
            failure = error
        await self._noted(lambda: self._course.end(failure))

    async def _has_work(self) -> bool:
        async with self._changed:
            await self._changed.wait_for(lambda: self._course.has_work or self._course.has_ended)
            return not self._course.is_over

    async def _answers(self) -> AsyncGenerator[Outcome]:
        """The outcomes that one stream brings."""
        if not self._course.has_work:
            return
        call = self._open_stream()
        sending = asyncio.create_task(self._send(call))
        try:
            while (response := await call.read()) is not grpc.aio.EOF:
                for outcome in await self._noted(partial(self._course.answered, response)):
                    yield outcome
            self._course.check_ended()
        finally:
            call.cancel()
            await _ended(sending)

    async def _send(self, call: Any) -> None:
        """Sends what has no answer from the last stream, then what is read. What ends the call, its reader is told."""
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError, grpc.aio.UsageError):
            headers = await call.initial_metadata()
            index = 0
            while True:
                async with self._changed:
                    await self._changed.wait_for(partial(self._is_decided, index))
                    asked = self._course.following(index)
                if asked is None:
                    break
                index = asked.index + 1
                message = sendable(asked, headers)
                if message is not None:
                    await call.write(message)
            await call.done_writing()

    def _is_decided(self, index: int) -> bool:
        """Whether an image from this index on can be sent, or never will be."""
        return self._course.has_ended or self._course.following(index) is not None

    def _error(self, error: grpc.aio.AioRpcError) -> CamgraphError:
        if error.details() == _BROKEN_WRITE:
            return UnavailableError(f"The stream to {self._connection.address} has ended in the middle of a request.")
        return error_from(error, self._connection.address, self._connection.timeout)

    async def _noted(self, change: Callable[[], Any]) -> Any:
        async with self._changed:
            value = change()
            self._changed.notify_all()
        return value


async def _each(images: Iterable[ImageSource] | AsyncIterable[ImageSource]) -> AsyncIterator[ImageSource]:
    """The images; an iterable that blocks does so on a thread."""
    if isinstance(images, AsyncIterable):
        async for image in images:
            yield image
        return
    source = iter(images)

    def following() -> Any:
        return next(source, _END)

    while (image := await asyncio.to_thread(following)) is not _END:
        yield image


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):  # as it was told to
        await task
