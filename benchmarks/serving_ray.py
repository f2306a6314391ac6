"""One graph on Ray Serve with direct ingress of gRPC, as benchmarks/serving.py measures it, where Ray is installed.

    SERVING_GRAPH=GRAPH SERVING_PACKAGES=FOLDER python benchmarks/serving_ray.py THREADS HTTP_PORT GRPC_PORT

It prints a line when it answers, and ends with its standard input. FOLDER has tritonclient, whose messages it speaks,
and onnxruntime. There are as many replicas as threads, each with one.
"""

from __future__ import annotations

import os
import sys

import ray
from ray import serve
from ray.serve.config import gRPCOptions

if os.environ["SERVING_PACKAGES"] not in sys.path:
    sys.path.append(os.environ["SERVING_PACKAGES"])  # after what is installed here

import numpy as np
import onnxruntime
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc

add_servicer = service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server
_TYPES = {"FP32": np.float32, "INT64": np.int64}
_DATATYPES = {np.dtype(kind): name for name, kind in _TYPES.items()}


class Graph:
    """The graph's own inputs and outputs, run on one thread. It answers one call at a time."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        graph = os.environ["SERVING_GRAPH"]
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._outputs = [each.name for each in self._session.get_outputs()]

    async def ModelReady(self, _: pb.ModelReadyRequest) -> pb.ModelReadyResponse:  # noqa: N802 - the protocol's name
        """It is ready when it answers."""
        return pb.ModelReadyResponse(ready=True)

    async def ModelInfer(self, request: pb.ModelInferRequest) -> pb.ModelInferResponse:  # noqa: N802 - as above
        """Runs the graph."""
        feeds = {
            each.name: np.frombuffer(raw, _TYPES[each.datatype]).reshape(each.shape)
            for each, raw in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        answer = pb.ModelInferResponse(model_name=request.model_name, id=request.id)
        for name, value in zip(self._outputs, self._session.run(self._outputs, feeds), strict=True):
            answer.outputs.add(name=name, datatype=_DATATYPES[value.dtype], shape=value.shape)
            answer.raw_output_contents.append(value.tobytes())
        return answer


def main(threads: int, http_port: int, grpc_port: int) -> None:
    """Serves until the standard input ends."""
    ray.init("local", num_cpus=threads, object_store_memory=200 << 20, include_dashboard=False, logging_level="warning")
    serve.start(
        http_options={"host": "127.0.0.1", "port": http_port},
        grpc_options=gRPCOptions(port=grpc_port, grpc_servicer_functions=["serving_ray.add_servicer"]),
    )
    deployment = serve.deployment(Graph, num_replicas=threads, ray_actor_options={"num_cpus": 0.1})
    serve.run(deployment.options(max_ongoing_requests=64).bind(), name="graph")
    print("serving", flush=True)
    sys.stdin.read()
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    from serving_ray import main as here  # the replicas find this module by its name

    here(*map(int, sys.argv[1:]))
