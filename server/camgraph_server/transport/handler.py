"""A method of ours, as the reception serves it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import grpc

from camgraph_server.call import Call, Kind
from camgraph_server.transport.receiving import Context

Way: TypeAlias = Callable[[Context, Call], Awaitable[bytes | None]]
"""Reads the messages of a call from its context. A stream's writes its answers, any other's returns the only one: it
leaves together with its status, so that a caller has both or neither. What it raises becomes the call's status."""


class Handler(grpc.RpcMethodHandler):  # type: ignore[type-arg]  # it takes no types when it runs
    """What is registered for a method. It cannot be called but through the reception, which makes the `Call`.

    Args:
        way: Answers a call.
        kind: Which side sends a stream.
    """

    def __init__(self, way: Way, kind: Kind = "unary") -> None:
        self.way = way
        self.kind = kind
