"""Exits with 0 if the camgraph server in this container serves at least one model, else with 1.

Asks the standard gRPC health service on the port of CAMGRAPH_SERVE_LISTEN. It does not speak TLS: with TLS,
let the orchestrator probe the port instead.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

SECONDS = 3


def main() -> int:
    """Prints the status, or why there is none."""
    port = os.environ.get("CAMGRAPH_SERVE_LISTEN", "127.0.0.1:8500").rpartition(":")[2]
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            answer = health.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
    except grpc.RpcError as error:
        print(f"no answer on port {port}: {error.code().name}", file=sys.stderr)
        return 1
    print(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
    return 0 if answer.status == health_pb2.HealthCheckResponse.SERVING else 1


if __name__ == "__main__":
    sys.exit(main())
