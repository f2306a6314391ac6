"""Writes answers as fast as their callers read them; who does not read loses the connection."""

from __future__ import annotations

from collections.abc import Mapping

from camgraph_core.errors import CamgraphError
from camgraph_server.call import Call
from camgraph_server.transport.http.endpoint import Answer
from camgraph_server.transport.http.exchange import Exchange
from camgraph_server.transport.sending import Reading
from camgraph_server.transport.waiting import Looks


class Writing:
    """Writes answers.

    Args:
        reading: How long callers may take.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    async def write(self, exchange: Exchange, call: Call, answer: Answer, headers: Mapping[str, str]) -> None:
        """Waits until an answer has been written.

        Raises:
            CancelledError: Its caller has gone, or did not read it in time: then the connection is closed.
        """

        def give_up(refusal: CamgraphError) -> None:
            call.status, call.reason = "DEADLINE_EXCEEDED", str(refusal)
            exchange.connection.abort()

        with Looks(self._reading.check_of(answer.size), give_up):
            await exchange.write(answer, headers)
