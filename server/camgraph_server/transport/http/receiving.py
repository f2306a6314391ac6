"""Receives the body of a request: its memory first, then its bytes, within the time that it may take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from camgraph_core.errors import InvalidInputError, TooLargeError
from camgraph_server.budget import Budget, Share
from camgraph_server.call import Call
from camgraph_server.config.limits import MIB
from camgraph_server.transport.http.exchange import Exchange
from camgraph_server.transport.messages import Limits
from camgraph_server.transport.waiting import bounded

T = TypeVar("T")

COPIES = 4
"""Of a body while it is read: its bytes, its text, the values of it, and the image in them."""


class Bodies:
    """Receives bodies, and has threads for what is made of them.

    Args:
        limits: What a body may take.
        memory: Memory of requests, from when they arrive until they are answered.
    """

    def __init__(self, limits: Limits, memory: Budget) -> None:
        self._limits = limits
        self._memory = memory
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="camgraph-http")

    async def memory(self, exchange: Exchange, call: Call) -> Share:
        """Waits for the memory of a body, whose size its headers may say.

        Raises:
            InvalidInputError: It is compressed.
            TooLargeError: It is too large.
        """
        most, length = self._limits.max_request, exchange.length
        if length is not None and length > most:
            raise TooLargeError(
                f"The request has {length / MIB:.1f} MiB, more than the limit of {most / MIB:.0f}; send a smaller one."
            )
        if exchange.headers.get("content-encoding", "identity").lower() != "identity":
            raise InvalidInputError("The body of the request is compressed, which is not offered; send it as it is.")
        size = COPIES * (most if length is None else length)
        return await self._memory.lent_to_call(size, call.client.name)

    async def received(self, exchange: Exchange) -> bytearray:
        """The body of a request; the slowest gives way where others wait for its memory.

        Raises:
            CamgraphError: It is too large, or does not come in time.
        """
        return await bounded(exchange.body(self._limits.max_request), partial(self._limits.arrival.check, self._memory))

    async def on_thread(self, work: Callable[..., T], *arguments: object) -> T:
        """Does what takes time for a large body, or a large answer."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
