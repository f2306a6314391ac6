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
import numpy as np
import onnxruntime
from tritonclient.grpc import service_pb2 as pb  # type: ignore[import-untyped]  # it has no types

_SERVICE = "inference.GRPCInferenceService"
_TYPES = {"FP32": np.float32, "INT64": np.int64}
_DATATYPES = {np.dtype(kind): name for name, kind in _TYPES.items()}


class Graph:
    """The graph's own inputs and outputs. Each call runs on a thread of its own."""

    def __init__(self, graph: str, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._outputs = [each.name for each in self._session.get_outputs()]
        self._pool = ThreadPoolExecutor(threads)

    async def is_ready(self, _: bytes, __: Any) -> bytes:
        """It is ready when it answers."""
        return bytes(pb.ModelReadyResponse(ready=True).SerializeToString())

    async def infer(self, message: bytes, _: Any) -> bytes:
        """Runs the graph."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, message)

    def _run(self, message: bytes) -> bytes:
        request = pb.ModelInferRequest.FromString(message)
        feeds = {
            each.name: np.frombuffer(raw, _TYPES[each.datatype]).reshape(each.shape)
            for each, raw in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        answer = pb.ModelInferResponse(model_name=request.model_name, id=request.id)
        for name, value in zip(self._outputs, self._session.run(self._outputs, feeds), strict=True):
            answer.outputs.add(name=name, datatype=_DATATYPES[value.dtype], shape=value.shape)
            answer.raw_output_contents.append(value.tobytes())
        return bytes(answer.SerializeToString())


async def serve(package: str, graph: Graph) -> None:
    """Serves until the process is ended."""
    server = importlib.import_module(f"{package}.aio").server()
    ways = {"ModelReady": graph.is_ready, "ModelInfer": graph.infer}
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
    asyncio.run(serve(sys.argv[1], Graph(sys.argv[2], int(sys.argv[3]))))
