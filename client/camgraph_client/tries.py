"""How often a call is sent again where gRPC's own policy does not: when it was ended without a status of the server.

gRPC sends nothing again of which it has read a first header, and takes the 500 of a proxy for a status. The calls of
`ExplanationService` change nothing, so they can be sent again at any time.
"""

from __future__ import annotations

import time
from typing import Any

from camgraph.v1 import explanation_pb2 as pb
from camgraph_client.channel import Connection
from camgraph_client.errors import is_cut_off

_REPEATABLE = frozenset(pb.DESCRIPTOR.services_by_name["ExplanationService"].methods_by_name)
_PAUSE = 0.1  # seconds before the next try, and twice as long each time


class Tries:
    """The tries of one call, within its timeout.

    Args:
        connection: Says how many there may be, and in which time.
        rpc: Name of the call.

    """

    def __init__(self, connection: Connection, rpc: str) -> None:
        self._until = time.monotonic() + connection.timeout
        self._most = connection.attempts if rpc in _REPEATABLE else 1
        self._made = 0

    @property
    def seconds(self) -> float:
        """What is left of the timeout."""
        return max(0.0, self._until - time.monotonic())

    def again(self, error: Any) -> float | None:
        """After how many seconds the call is sent once more; None if it is not.

        Args:
            error: A `grpc.RpcError` of either face of grpc, which has `code` and `details`.

        """
        self._made += 1
        pause = _PAUSE * 2 ** (self._made - 1)
        return pause if is_cut_off(error) and self._made < self._most and pause < self.seconds else None
