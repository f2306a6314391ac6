"""How often a call is sent again where gRPC's own policy does not: when its answer had begun, and the connection ended.

gRPC sends nothing again of which it has read a first header. The calls of `ExplanationService` change nothing, so they
can be sent again at any time.
"""

from __future__ import annotations

import time
from typing import Any

from camgraph.v1 import explanation_pb2 as pb
from camgraph_client.channel import Connection

_REPEATABLE = frozenset(pb.DESCRIPTOR.services_by_name["ExplanationService"].methods_by_name)
_CODES = ("CANCELLED", "UNAVAILABLE")
_CUT_OFF = "Stream removed"  # so gRPC's text begins when a connection, or a proxy, ends a call without a status


class Tries:
    """The tries of one call, within its timeout.

    Args:
        connection: Says how many there may be, and in which time.
        rpc: Name of the call.

    """

    def __init__(self, connection: Connection, rpc: str) -> None:
        self._until = time.monotonic() + connection.timeout
        self._left = connection.attempts if rpc in _REPEATABLE else 1

    @property
    def seconds(self) -> float:
        """What is left of the timeout."""
        return max(0.0, self._until - time.monotonic())

    def again(self, error: Any) -> bool:
        """Whether the call is sent once more after it failed.

        Args:
            error: A `grpc.RpcError` of either face of grpc, which has `code` and `details`.

        """
        self._left -= 1
        is_cut_off = error.code().name in _CODES and (error.details() or "").startswith(_CUT_OFF)
        return is_cut_off and self._left > 0 and self.seconds > 0
