"""The way of a stream: many requests, whose answers come in their order, and errors of one that end no other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf.message import Message
from grpc import StatusCode

from camgraph_core.errors import CamgraphError, DeadlineError, OverLimitError, UnavailableError
from camgraph_server.access.limits import ClientLimits
from camgraph_server.budget import Budget, Share
from camgraph_server.call import Call
from camgraph_server.models.explaining import COPIES
from camgraph_server.observe.observers import Observers
from camgraph_server.scheduling.gate import Gate
from camgraph_server.transport.messages import COPIES_WRITTEN, Messages, Rpc
from camgraph_server.transport.receiving import Context, receive
from camgraph_server.transport.refusal import Refusal, let_go
from camgraph_server.transport.stream_places import StreamPlaces
from camgraph_wire.items import MAX_ITEM_KEY, Item

_TRIES = 5  # of an item for which there is no place or no memory
_LONGEST_PAUSE = 1.0  # seconds before the next look whether there is a place
_PART_OF_ANSWERS = 4  # of the memory for answers, this fraction may be waiting on one stream


@dataclass(frozen=True)
class Streaming:
    """What streams take.

    Attributes:
        gate: Says when the server stops.
        places: How many streams may be open.
        answers: Memory of answers, from when they are drawn until they are written.
        observers: Are told of every item.
        most_items: Items of one stream that are in flight.
        limits: What one client may ask for.
    """

    gate: Gate
    places: StreamPlaces
    answers: Budget
    observers: Observers
    most_items: int
    limits: ClientLimits


class Streams:
    """Serves streams of requests.

    Args:
        messages: How messages are received and encoded.
        rpc: How one item is answered. It decodes to an `Item`.
        refused: The message in place of an answer, from the item's id, which is empty if it could not be read.
        streaming: What they take.
    """

    def __init__(
        self, messages: Messages, rpc: Rpc, refused: Callable[[str, Refusal], Message], streaming: Streaming
    ) -> None:
        self.messages, self.rpc, self.refused, self.streaming = messages, rpc, refused, streaming

    async def answer(self, context: Context, call: Call) -> None:
        """Answers all requests of a stream; it ends when its caller has sent the last, or when the server stops.

        Raises:
            OverLimitError: The client has as many streams as it may.
            UnavailableError: The server stops, or as many streams are open as it has memory for.
        """
        with self.streaming.places.taken(call.client):
            await _Stream(self, context, call).run()


class _Stream:
    """One stream while it lasts."""

    def __init__(self, streams: Streams, context: Context, call: Call) -> None:
        self._messages, self._rpc, self._streaming = streams.messages, streams.rpc, streams.streaming
        self._refused = streams.refused
        self._context, self._call = context, call
        self._items: set[asyncio.Task[None]] = set()
        self._largest = 1  # bytes of an answer
        self._written = asyncio.Event()  # of the item that came last
        self._written.set()
        self._is_cut = False  # an answer could not be written: its caller has gone, which may look like its end
        call.items = call.received = call.sent = 0

    async def run(self) -> None:
        await self._context.send_initial_metadata(((MAX_ITEM_KEY, str(self._messages.max_request)),))
        async with asyncio.TaskGroup() as group:
            end = await self._start_all(group)
        if self._is_cut:
            raise asyncio.CancelledError
        if end is not None:
            raise end

    async def _start_all(self, group: asyncio.TaskGroup) -> CamgraphError | None:
        """Starts on each item as it comes. Returns why no further one is read, or None where its caller has ended."""
        try:
            while True:
                await self._place()
                memory = await self._messages.memory(self._call)
                data = None
                try:
                    data = await receive(self._context, self._check_open)
                finally:
                    if data is None:
                        memory.close()
                if data is None:
                    return None
                self._start(group, [data], memory)
                del data
        except CamgraphError as error:
            return error

    def _start(self, group: asyncio.TaskGroup, data: list[bytes], memory: Share) -> None:
        before, self._written = self._written, asyncio.Event()
        item = group.create_task(self._answer(data, memory, before, self._written))
        self._items.add(item)
        item.add_done_callback(self._items.discard)
        item.add_done_callback(lambda _: memory.close())  # also of one that is cancelled before it begins

    async def _place(self) -> None:
        """Waits until another item may come: so what its caller sends too much of stays with the caller."""
        self._check_open()
        while len(self._items) >= self._most_items:
            await asyncio.wait(self._items, return_when=asyncio.FIRST_COMPLETED, timeout=_LONGEST_PAUSE)
            self._check_open()
        while True:
            try:
                self._rpc.admit(self._call)
                return self._streaming.limits.take(self._call.client)
            except (UnavailableError, OverLimitError) as refusal:
                self._check_open()
                await asyncio.sleep(_pause(refusal))

    @property
    def _most_items(self) -> int:
        """Items in flight; fewer where answers are large, as their caller may be slow to read them."""
        fitting = self._streaming.answers.size // _PART_OF_ANSWERS // (COPIES * self._largest)
        most = min(self._streaming.most_items, self._call.client.calls_at_once or self._streaming.most_items)
        return max(1, min(most, fitting))

    def _check_open(self, _: float = 0.0) -> None:
        if not self._streaming.gate.is_open:
            raise UnavailableError("The server is stopping; send what was not answered on a new stream.")

    async def _answer(self, data: list[bytes], memory: Share, before: asyncio.Event, written: asyncio.Event) -> None:
        """Answers one item, when those before it were; `data` is a list so that its bytes can be let go."""
        with Share(self._streaming.answers) as share, self._streaming.observers.watching(self._item(share)) as call:
            call.received = len(data[0])
            try:
                encoded = await self._encoded(call, data, memory, before)
                self._largest = max(self._largest, len(encoded))
                call.enter("write")
                await before.wait()
                await self._messages.sending.write(self._context, call, encoded)
                call.sent = len(encoded)
                if call.reason is None:
                    call.status = StatusCode.OK.name
            except asyncio.CancelledError:
                self._is_cut = True
                raise
            finally:
                written.set()
                self._count(call)

    def _item(self, share: Share) -> Call:
        whole = self._call
        return replace(
            whole, answer=share, item="", items=None, started=time.monotonic(), came=time.time(), timeline=[]
        )

    async def _encoded(self, call: Call, data: list[bytes], memory: Share, before: asyncio.Event) -> bytes:
        """The bytes of an item's answer, or of the error in its place."""
        try:
            with memory:
                call.enter("decode")
                item: Item[Any] = await self._messages.decoded(self._rpc, data.pop(), memory)
                call.item = item.id
                if isinstance(item.asked, CamgraphError):
                    raise item.asked
                call.deadline = _earlier(call.deadline, item.timeout)
                value = await self._value(item, call, before)
                call.enter("encode")
                encoded = await self._messages.encoded(self._rpc, value, item, call)
                del item, value
        except Exception as error:  # whatever happened, the caller hears of it and the stream goes on
            refusal = Refusal.of(error)
            let_go(error)
            call.status, call.reason = refusal.status.name, refusal.text
            encoded = self._refused(call.item or "", refusal).SerializeToString()
        call.answer.shrink_to(COPIES_WRITTEN * len(encoded))
        return encoded

    async def _value(self, item: Item[Any], call: Call, before: asyncio.Event) -> object:
        """The value of an item's answer. Where a call would be told to come again, it waits and tries again itself."""
        tries = 0
        while True:
            try:
                async with asyncio.timeout(item.timeout and _seconds_left(call.deadline)) as limit:
                    return await self._rpc.answer(item.asked, call)
            except TimeoutError:
                if not limit.expired():
                    raise
                raise DeadlineError(f"The item was not answered within {item.timeout:g} s.") from None
            except (UnavailableError, OverLimitError) as refusal:
                tries += before.is_set()
                pause, left = _pause(refusal), _seconds_left(call.deadline)
                if refusal.retry_after is None or tries >= _TRIES or (left is not None and left < pause):
                    raise
            call.answer.shrink_to(0)
            if call.inference_ms is not None and not before.is_set():  # no memory: those before it hold some
                await before.wait()
            else:
                await asyncio.sleep(pause)

    def _count(self, call: Call) -> None:
        whole = self._call
        whole.items = (whole.items or 0) + 1
        whole.received = (whole.received or 0) + (call.received or 0)
        whole.sent = (whole.sent or 0) + (call.sent or 0)


def _pause(refusal: UnavailableError | OverLimitError) -> float:
    return min(refusal.retry_after or _LONGEST_PAUSE, _LONGEST_PAUSE)


def _earlier(deadline: float | None, timeout: float | None) -> float | None:
    ends = [end for end in (deadline, None if timeout is None else time.monotonic() + timeout) if end is not None]
    return min(ends, default=None)


def _seconds_left(deadline: float | None) -> float | None:
    return None if deadline is None else deadline - time.monotonic()
