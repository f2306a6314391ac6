"""Opens the channel of a connection, in both faces of grpc; every call on it carries the connection's token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import grpc
import grpc.aio

from camgraph_client.channel import Connection
from camgraph_client.credentials import Token

Option = tuple[str, Any]

_KINDS = {
    "UnaryUnary": "intercept_unary_unary",
    "UnaryStream": "intercept_unary_stream",
    "StreamUnary": "intercept_stream_unary",
    "StreamStream": "intercept_stream_stream",
}
"""The kinds of calls in gRPC's names, with the method by which an interceptor of each takes them."""


def open_channel(connection: Connection) -> grpc.Channel:
    """A channel that blocks.

    Raises:
        UsageError: A file of the connection cannot be read.

    """
    credentials, options = connection.credentials(), connection.options()
    channel = (
        grpc.insecure_channel(connection.address, options)
        if credentials is None
        else grpc.secure_channel(connection.address, credentials, options)
    )
    return (
        channel
        if connection.token is None
        else grpc.intercept_channel(channel, _blocking_interceptor(connection.token))
    )


def open_aio_channel(connection: Connection, more_options: Sequence[Option] = ()) -> grpc.aio.Channel:
    """A channel of an event loop.

    Args:
        connection: Where to, and how.
        more_options: Arguments of gRPC beside the connection's own.

    Raises:
        UsageError: A file of the connection cannot be read.

    """
    credentials, options = connection.credentials(), [*connection.options(), *more_options]
    interceptors = [] if connection.token is None else _aio_interceptors(connection.token)
    if credentials is None:
        return grpc.aio.insecure_channel(connection.address, options, interceptors=interceptors)
    return grpc.aio.secure_channel(connection.address, credentials, options, interceptors=interceptors)


class _Details(NamedTuple):
    """A call as interceptors know it."""

    method: str
    timeout: float | None
    metadata: Sequence[tuple[str, str | bytes]] | None
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: Any


def _blocking_interceptor(token: Token) -> Any:
    """Adds a token to calls of all kinds."""

    def send(_: Any, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        fields: dict[str, Any] = {name: getattr(details, name, None) for name in _Details._fields}
        fields["metadata"] = [*(fields["metadata"] or ()), token.header()]
        return continuation(_Details(**fields), request)

    kinds = tuple(getattr(grpc, f"{kind}ClientInterceptor") for kind in _KINDS)
    return type("TokenInterceptor", kinds, dict.fromkeys(_KINDS.values(), send))()


def _aio_interceptors(token: Token) -> list[Any]:
    """The same on an event loop; one for each kind, as grpc.aio takes only the first kind of an interceptor."""

    async def send(_: Any, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        metadata = [*(details.metadata or ()), token.header()]
        return await continuation(details._replace(metadata=grpc.aio.Metadata(*metadata)), request)

    return [
        type("TokenInterceptor", (getattr(grpc.aio, f"{kind}ClientInterceptor"),), {method: send})()
        for kind, method in _KINDS.items()
    ]
