"""The two ways of a request to the server: as a call of its own, or on a stream of its connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Any, Protocol

import grpc
import grpc.aio

from camgraph.v1 import explanation_pb2 as pb
from camgraph_load.records import OK
from camgraph_wire.items import timeout_ms

_SERVICE = "/camgraph.v1.ExplanationService"
_PATIENCE = 1.0  # seconds for the last answers of a stream that is closed


class StatusError(Exception):
    """A request ended without an answer.

    Attributes:
        code: gRPC's status code.
    """

    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__(code.name)
        self.code = code


class Way(Protocol):
    """Sends requests over one connection."""

    async def send(self, request: bytes, deadline: float) -> bytes:
        """What came back, to be read when it was timed.

        Args:
            request: A serialised `ExplainRequest`.
            deadline: Seconds that the answer may take.

        Raises:
            StatusError: The request ended without an answer.
        """

    def read(self, data: bytes) -> tuple[int, bytes]:
        """The status code of gRPC, and the bytes of the `ExplainResponse`; none where the code is an error's."""

    async def close(self) -> None:
        """Ends what is open."""


class Calls:
    """A call for each request."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._method: Any = channel.unary_unary(f"{_SERVICE}/Explain")

    async def send(self, request: bytes, deadline: float) -> bytes:
        """What came back."""
        try:
            data: bytes = await self._method(request, timeout=deadline)
        except grpc.aio.AioRpcError as error:
            raise StatusError(error.code()) from None
        return data

    def read(self, data: bytes) -> tuple[int, bytes]:
        """Code and answer."""
        return OK, data

    async def close(self) -> None:
        """Does nothing."""


class Stream:
    """All requests on one stream; one that breaks is opened again by the next request."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._method: Any = channel.stream_stream(f"{_SERVICE}/ExplainStream")
        self._course: _Course | None = None

    async def send(self, request: bytes, deadline: float) -> bytes:
        """What came back."""
        if self._course is None or self._course.has_ended:
            self._course = _Course(self._method())
        message = pb.ExplainStreamRequest(
            request=pb.ExplainRequest.FromString(request), timeout_ms=timeout_ms(deadline)
        )
        try:
            async with asyncio.timeout(deadline):
                return await self._course.answer(message)
        except TimeoutError:
            raise StatusError(grpc.StatusCode.DEADLINE_EXCEEDED) from None

    def read(self, data: bytes) -> tuple[int, bytes]:
        """Code and answer."""
        message = pb.ExplainStreamResponse.FromString(data)
        if message.WhichOneof("outcome") == "error":
            code: int = grpc.StatusCode[message.error.status].value[0]
            return code, b""
        return OK, message.response.SerializeToString()

    async def close(self) -> None:
        """Ends the stream."""
        if self._course is not None:
            await self._course.close()


class _Course:
    """One stream while it lasts: what is to be written, and who waits for an answer, in their order."""

    def __init__(self, call: Any) -> None:
        self.has_ended = False
        self._call = call
        self._unsent: asyncio.Queue[tuple[bytes, asyncio.Future[bytes]]] = asyncio.Queue()
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._writing = asyncio.create_task(self._write())
        self._reading = asyncio.create_task(self._read())

    def answer(self, message: pb.ExplainStreamRequest) -> asyncio.Future[bytes]:
        """The answer to come. A task of its own writes: who gives up a write gives up the stream."""
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._unsent.put_nowait((message.SerializeToString(), answer))
        return answer

    async def close(self) -> None:
        self._writing.cancel()
        # Whatever became of the stream: nobody waits for an answer of it any more.
        with contextlib.suppress(TimeoutError, grpc.aio.AioRpcError, asyncio.InvalidStateError, asyncio.CancelledError):
            await self._call.done_writing()
            await asyncio.wait_for(self._reading, _PATIENCE)

    async def _write(self) -> None:
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # the reader says why it ended
            while True:
                message, answer = await self._unsent.get()
                if not answer.done():
                    self._waiting.append(answer)
                    await self._call.write(message)

    async def _read(self) -> None:
        with contextlib.suppress(grpc.aio.AioRpcError):  # those that wait are told below
            while (data := await self._call.read()) is not grpc.aio.EOF:
                if not self._waiting:  # a server that says what nobody asked
                    self._call.cancel()
                    break
                answer = self._waiting.popleft()
                if not answer.done():
                    answer.set_result(data)
        self.has_ended = True
        self._writing.cancel()
        code = await self._call.code()
        unsent = [self._unsent.get_nowait()[1] for _ in range(self._unsent.qsize())]
        for answer in (*self._waiting, *unsent):
            if not answer.done():
                answer.set_exception(StatusError(code if code is not grpc.StatusCode.OK else grpc.StatusCode.UNKNOWN))
