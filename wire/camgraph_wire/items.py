"""One request of a stream, one answer of it, and what stands in place of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.errors import CamgraphError
from camgraph_core.request import Addressed
from camgraph_wire.errors import Reason, error_named
from camgraph_wire.requests import request_from, request_message

MAX_ITEM_KEY = "camgraph-max-item-bytes"
"""The header in which a server says how large one request of a stream may be."""


Asked = TypeVar("Asked")


@dataclass(frozen=True)
class Item(Generic[Asked]):
    """One request of a stream, in any protocol.

    Attributes:
        id: Comes back with the answer.
        asked: What is asked, or why that cannot be answered.
        timeout: Seconds that the answer may take from when the server has read the request; None means any time.
    """

    id: str
    asked: Asked | CamgraphError
    timeout: float | None = None


def item_from(message: pb.ExplainStreamRequest) -> Item[Addressed]:
    """The item of a message; one that asks for what cannot be holds the error, as its id is still needed."""
    asked: Addressed | CamgraphError
    try:
        asked = request_from(message.request)
    except CamgraphError as error:
        asked = error
    return Item(message.id, asked, message.timeout_ms / 1e3 if message.HasField("timeout_ms") else None)


def item_message(id_: str, addressed: Addressed, timeout: float | None = None) -> pb.ExplainStreamRequest:
    """The message of an item.

    Raises:
        CamgraphError: It cannot be sent; see `request_message`.
    """
    milliseconds = None if timeout is None else timeout_ms(timeout)
    return pb.ExplainStreamRequest(id=id_, request=request_message(addressed), timeout_ms=milliseconds)


def timeout_ms(seconds: float) -> int:
    """Seconds as the field `timeout_ms` has them; more than it holds are 49 days."""
    return min(round(seconds * 1e3), 2**32 - 1)


def answer_message(id_: str, response: pb.ExplainResponse) -> pb.ExplainStreamResponse:
    """The message of an item's answer; it copies the response."""
    return pb.ExplainStreamResponse(id=id_, response=response)


def error_message(
    id_: str, status: str, reason: Reason | None, text: str, retry_after: float | None = None
) -> pb.ExplainStreamResponse:
    """The message that stands in place of an answer.

    Args:
        id_: Of the item; empty if it could not be read.
        status: Name of gRPC's status code.
        reason: What the error is called; None for one that is not the caller's doing.
        text: The sentence for the user.
        retry_after: Seconds after which the item is worth another try, if that is known.
    """
    milliseconds = None if retry_after is None else round(retry_after * 1e3)
    error = pb.ItemError(
        status=status, reason=reason.name if reason else None, message=text, retry_after_ms=milliseconds
    )
    return pb.ExplainStreamResponse(id=id_, error=error)


def error_of(message: pb.ItemError) -> CamgraphError:
    """The exception of an item that has no answer."""
    after = message.retry_after_ms / 1e3 if message.HasField("retry_after_ms") else None
    return error_named(message.reason, message.message, after)
