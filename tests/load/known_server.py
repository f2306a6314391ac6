"""A server whose delays are known: one queue, first come, first served, with a stated time of service for each call."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import grpc.aio
import numpy as np

from camgraph.v1 import explanation_pb2 as pb

METHOD = "camgraph.v1.ExplanationService"
ANSWER = pb.ExplainResponse(
    explanations=[pb.Explanation(outputs=[pb.Output(tensor=pb.Tensor(dtype="float32", shape=[1], data=b"\0" * 4))])],
    timings=pb.Timings(inference_ms=3.0, queue_ms=1.0),
)


def latencies(arrivals: np.ndarray, service: Callable[[int], float]) -> np.ndarray:
    """Seconds from arrival to answer in such a queue (Lindley's recursion)."""
    free, found = 0.0, []
    for number, arrival in enumerate(arrivals):
        free = max(free, arrival) + service(number)
        found.append(free - arrival)
    return np.array(found)


class KnownServer:
    """Answers call number i after `service(i)` seconds of service; `answer(i)` may raise a status instead."""

    def __init__(self, service: Callable[[int], float], answer: Callable[[int], pb.ExplainResponse]) -> None:
        self.address = ""
        self.received: list[bytes] = []
        self.streams = 0
        self._service, self._answer = service, answer
        self._free = 0.0

    async def explain(self, request: bytes, context: Any) -> bytes:
        try:
            return (await self._served(request)).SerializeToString()
        except grpc.RpcError as error:
            await context.abort(error.args[0], "as told")
            raise

    async def stream(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        """Takes what comes at once, and answers it in order; it ends where it is told so."""
        self.streams += 1
        items: asyncio.Queue[asyncio.Task[pb.ExplainStreamResponse]] = asyncio.Queue()

        async def take() -> None:
            async for data in requests:
                items.put_nowait(asyncio.create_task(self._item(pb.ExplainStreamRequest.FromString(data))))
            items.put_nowait(asyncio.create_task(asyncio.sleep(0)))

        taking = asyncio.create_task(take())
        while (answer := await (await items.get())) is not None:
            if answer.error.status == "ABORTED":
                await context.abort(grpc.StatusCode.ABORTED, "as told")
            yield answer.SerializeToString()
        await taking

    async def _item(self, item: pb.ExplainStreamRequest) -> pb.ExplainStreamResponse:
        try:
            return pb.ExplainStreamResponse(response=await self._served(item.request.SerializeToString()))
        except grpc.RpcError as error:
            return pb.ExplainStreamResponse(error=pb.ItemError(status=error.args[0].name))

    async def _served(self, request: bytes) -> pb.ExplainResponse:
        now, number = asyncio.get_running_loop().time(), len(self.received)
        self.received.append(request)
        self._free = max(self._free, now) + self._service(number)
        await asyncio.sleep(self._free - now)
        return self._answer(number)

    async def serve(self, ready: threading.Event, stop: threading.Event) -> None:
        server = grpc.aio.server()
        handlers: dict[str, Any] = {
            "Explain": grpc.unary_unary_rpc_method_handler(self.explain),
            "ExplainStream": grpc.stream_stream_rpc_method_handler(self.stream),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(METHOD, handlers),))
        self.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        ready.set()
        await asyncio.to_thread(stop.wait)
        await server.stop(0)


@contextlib.contextmanager
def known_server(
    service: Callable[[int], float] = lambda _: 0.0, answer: Callable[[int], pb.ExplainResponse] = lambda _: ANSWER
) -> Iterator[KnownServer]:
    server, ready, stop = KnownServer(service, answer), threading.Event(), threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(server.serve(ready, stop),))
    thread.start()
    assert ready.wait(30)
    try:
        yield server
    finally:
        stop.set()
        thread.join(30)
