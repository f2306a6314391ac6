"""The way of a call whose answer is written in pieces, each made when the one before has left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from camgraph_server.call import Call
from camgraph_server.transport.messages import Messages, Rpc
from camgraph_server.transport.receiving import Context


async def answer_in_chunks(messages: Messages, rpc: Rpc, context: Context, call: Call) -> None:
    """Answers one request with a stream of messages, which `Rpc.encode` gives one by one.

    Raises:
        CamgraphError: The request is refused, or cannot be answered.
    """
    call.in_chunks = True
    rpc.admit(call)
    async with messages.asked(rpc, context, call) as request:
        value = await rpc.answer(request, call)
    call.enter("write")
    pieces: Iterator[Any] = iter(rpc.encode(value, request))
    del value, request
    call.sent = 0
    while (piece := await messages.next_encoded(pieces)) is not None:
        await messages.sending.write(context, call, piece)
        call.sent += len(piece)
