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

from serving_graph import Graph
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc

add_servicer = service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server


class Replica:
    """The graph's own inputs and outputs. It answers one call at a time."""

    def __init__(self) -> None:
        self._graph = Graph(os.environ["SERVING_GRAPH"])

    async def ModelReady(self, _: pb.ModelReadyRequest) -> pb.ModelReadyResponse:  # noqa: N802 - the protocol's name
        """It is ready when it answers."""
        return pb.ModelReadyResponse(ready=True)

    async def ModelInfer(self, request: pb.ModelInferRequest) -> pb.ModelInferResponse:  # noqa: N802 - as above
        """Runs the graph."""
        return self._graph.answer(request)


def main(threads: int, http_port: int, grpc_port: int) -> None:
    """Serves until the standard input ends."""
    ray.init("local", num_cpus=threads, object_store_memory=200 << 20, include_dashboard=False, logging_level="warning")
    serve.start(
        http_options={"host": "127.0.0.1", "port": http_port},
        grpc_options=gRPCOptions(port=grpc_port, grpc_servicer_functions=["serving_ray.add_servicer"]),
    )
    deployment = serve.deployment(Replica, num_replicas=threads, ray_actor_options={"num_cpus": 0.1})
    serve.run(deployment.options(max_ongoing_requests=64).bind(), name="graph")
    print("serving", flush=True)
    sys.stdin.read()
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    from serving_ray import main as here  # the replicas find this module by its name

    here(*map(int, sys.argv[1:]))
