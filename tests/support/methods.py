"""The methods that a server was given, and calls of them that end by themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import grpc

# Streams: they answer an item that is garbage with an error in its place.
ANSWERS_GARBAGE = {"/camgraph.v1.ExplanationService/ExplainStream", "/inference.GRPCInferenceService/ModelStreamInfer"}


@contextlib.contextmanager
def registered_methods() -> Iterator[list[str]]:
    """The full names of all methods that servers are given meanwhile."""
    names: list[str] = []
    make = grpc.aio.server

    def server(*args: Any, **options: Any) -> grpc.aio.Server:
        made = make(*args, **options)
        add = made.add_generic_rpc_handlers

        def noted(handlers: Any) -> None:
            for handler in handlers:
                names.extend(handler._method_handlers)  # gRPC has no public list
            add(handlers)

        made.add_generic_rpc_handlers = noted  # type: ignore[method-assign]  # what is added is noted
        return made

    with mock.patch.object(grpc.aio, "server", server):
        yield names


async def answer_to_garbage(
    channel: grpc.aio.Channel, method: str, timeout: float, metadata: Any = ()
) -> tuple[grpc.StatusCode, str]:
    """What becomes of a call with a message that is none, so that no stream stays open.

    The message goes together with the headers. As a stream of its own it would be written after them, and gRPC's client
    calls it INTERNAL when the server has answered before that.
    """
    call = channel.unary_stream(method)(b"\xff", timeout=timeout, metadata=metadata)
    with contextlib.suppress(grpc.RpcError):
        async for _ in call:
            pass
    return await call.code(), await call.details()
