"""The least that a server of explanations in Python can do, as overload.py and throughput.py measure it.

    python benchmarks/grpc_alone.py GRAPH PLACES DEVICE

grpc.aio alone: a call is refused at its headers where PLACES calls wait or run, or else received, and explained on a
thread. There are no limits, deadlines, clients, log or metrics. It prints its address when it answers.
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from camgraph.v1 import explanation_pb2 as pb
from camgraph_runtime import Explainer
from camgraph_runtime.run.providers import Device
from camgraph_runtime.run.threads import Threads, available_cores
from camgraph_wire.requests import request_from
from camgraph_wire.results import response_message


class Bare:
    """Explains, or refuses.

    Args:
        explainer: Works on one request per core.
        places: Calls that wait or run.
    """

    def __init__(self, explainer: Explainer, places: int) -> None:
        self._explainer, self._places = explainer, places
        self._pool = ThreadPoolExecutor(available_cores())
        self._taken = 0

    async def explain(self, _: object, context: Any) -> bytes:
        """Answers a call; its answer leaves together with its status."""
        if self._taken >= self._places:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "The server is full.")
        self._taken += 1
        try:
            data = await context.read()
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._work, data)
        finally:
            self._taken -= 1

    def _work(self, data: bytes) -> bytes:
        request = request_from(pb.ExplainRequest.FromString(data))
        result = self._explainer.explain(request.image, tensor=request.tensor, outputs=request.request.outputs)
        return response_message(result, request.request).SerializeToString()


async def serve(graph: str, places: int, device: Device) -> None:
    """Serves until the process is ended."""
    with Explainer(graph, device=device, threads=Threads.throughput()) as explainer:
        server = grpc.aio.server()
        method: grpc.RpcMethodHandler[Any, Any] = grpc.stream_unary_rpc_method_handler(Bare(explainer, places).explain)
        service = grpc.method_handlers_generic_handler("camgraph.v1.ExplanationService", {"Explain": method})
        server.add_generic_rpc_handlers((service,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        print(f"listening on 127.0.0.1:{port}", flush=True)
        await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
