"""One request and its answer as ASGI has them, and whether their caller is still there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers

from camgraph_core.errors import TooLargeError
from camgraph_server.config.limits import MIB
from camgraph_server.transport.http.endpoint import Answer

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from camgraph_server.transport.http.connection import Connection

_PIECE = 256 * 1024  # bytes that are written at a time


class Exchange:
    """A request whose headers have arrived, and the way for its answer.

    Attributes:
        method: Its method.
        path: Its path.
        variables: The parts of the path that vary, once it is known whose path it is.
        headers: Its headers.
        connection: The connection that it came by.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.variables: Mapping[str, str] = {}
        self.headers = Headers(scope=scope)
        self.connection: Connection = scope["state"]["connection"]
        self._watch: asyncio.Task[None] | None = None
        self._is_gone = False
        self._is_answered = False

    @property
    def length(self) -> int | None:
        """Bytes of its body, as it says; None where it does not."""
        if "transfer-encoding" in self.headers:
            return None
        return int(self.headers.get("content-length", "0"))

    @contextlib.asynccontextmanager
    async def while_caller_waits(self) -> AsyncIterator[None]:
        """Ends what is done within when the caller goes away; quietly, as nobody is there to be told."""
        task = asyncio.current_task()
        try:
            yield
        except asyncio.CancelledError:
            if not self._is_gone:
                raise
            assert task is not None, "it runs in a task"
            task.uncancel()
        finally:
            if self._watch is not None:
                self._watch.cancel()

    async def body(self, most: int) -> bytearray:
        """Reads the body, and watches from then on whether the caller goes away.

        Raises:
            TooLargeError: It has more than so many bytes.
            CancelledError: The caller has gone.
        """
        body = bytearray()
        more = True
        while more:
            message = await self._receive()
            self._check_there(message)
            body += message.get("body", b"")
            if len(body) > most:
                raise TooLargeError(
                    f"The request takes more than the limit of {most / MIB:.0f} MiB; send a smaller one."
                )
            more = message.get("more_body", False)
        self._watch = asyncio.create_task(self._wait_for_end(asyncio.current_task()))
        return body

    async def write(self, answer: Answer, headers: Mapping[str, str]) -> None:
        """Writes an answer as fast as the caller reads it."""
        own = {"content-type": answer.content_type, "content-length": str(answer.size)}
        pairs = [(name.encode(), value.encode()) for name, value in {**own, **answer.headers, **headers}.items()]
        await self._send({"type": "http.response.start", "status": answer.status, "headers": pairs})
        for piece in _pieces(answer):
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        self._is_answered = True  # before the other side may close
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def _check_there(self, message: Message) -> None:
        if message["type"] == "http.disconnect":
            self._is_gone = True
            raise asyncio.CancelledError

    async def _wait_for_end(self, task: asyncio.Task[Any] | None) -> None:
        message: Message = {"type": "http.request"}
        while message["type"] != "http.disconnect":
            message = await self._receive()
        if not self._is_answered and task is not None:
            self._is_gone = True
            task.cancel()


def _pieces(answer: Answer) -> list[bytes]:
    """The body in pieces that are neither small nor large."""
    pieces, small = [], bytearray()
    for part in answer.body:
        if len(small) + len(part) > _PIECE and small:
            pieces.append(bytes(small))
            small.clear()
        if len(part) <= _PIECE:
            small += part
        else:
            pieces += [part[start : start + _PIECE] for start in range(0, len(part), _PIECE)]
    return [*pieces, bytes(small)] if small else pieces
