"""The least that a server in Python can do for one graph, as benchmarks/serving.py measures it.

    python benchmarks/serving_bare.py PACKAGE GRAPH THREADS

PACKAGE is `grpc` for grpc.aio, or `pygrpc_native`, which speaks HTTP/2 in Rust under the same interface. A message is
read, run on a thread, and answered. There are no limits, deadlines, clients, log or metrics. It prints its address when
it answers, and serves until its process is ended.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from serving_graph import Graph
from tritonclient.grpc import service_pb2 as pb  # type: ignore[import-untyped]  # it has no types

_SERVICE = "inference.GRPCInferenceService"


class Bare:
    """Answers calls, each on a thread.

    Args:
        graph: What they run.
        threads: So many at a time.
    """

    def __init__(self, graph: Graph, threads: int) -> None:
        self._graph, self._pool = graph, ThreadPoolExecutor(threads)

    async def is_ready(self, _: bytes, __: Any) -> bytes:
        """It is ready when it answers."""
        return bytes(pb.ModelReadyResponse(ready=True).SerializeToString())

    async def infer(self, message: bytes, _: Any) -> bytes:
        """Runs the graph."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, message)

    def _run(self, message: bytes) -> bytes:
        return bytes(self._graph.answer(pb.ModelInferRequest.FromString(message)).SerializeToString())


async def serve(package: str, bare: Bare) -> None:
    """Serves until the process is ended."""
    server = importlib.import_module(f"{package}.aio").server()
    ways = {"ModelReady": bare.is_ready, "ModelInfer": bare.infer}
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        name: grpc.unary_unary_rpc_method_handler(way) for name, way in ways.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    server.add_registered_method_handlers(_SERVICE, handlers)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Bare(Graph(sys.argv[2]), int(sys.argv[3]))))
