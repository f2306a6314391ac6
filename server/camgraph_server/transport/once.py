"""The way of a call with one request and one answer: admitted at its headers, received, answered, written."""

from __future__ import annotations

from camgraph_server.call import Call
from camgraph_server.transport.messages import COPIES_WRITTEN, Messages, Rpc
from camgraph_server.transport.receiving import Context


def admit_control(call: Call) -> None:
    """Admits a call that changes models.

    Raises:
        ForbiddenError: The caller may not.
    """
    call.client.check_control()


async def answer_once(messages: Messages, rpc: Rpc, context: Context, call: Call) -> bytes:
    """The bytes of the one message that answers one request; gRPC writes them when they are returned.

    Raises:
        CamgraphError: The request is refused, or cannot be answered.
    """
    rpc.admit(call)
    async with messages.asked(rpc, context, call) as request:
        value = await rpc.answer(request, call)
        call.enter("encode")
        encoded = await messages.encoded(rpc, value, request, call)
        del request, value
    call.enter("write")
    call.sent = len(encoded)
    call.answer.shrink_to(COPIES_WRITTEN * len(encoded))
    messages.sending.watch(context, call, encoded)
    return encoded
