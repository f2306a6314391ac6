"""A worker's end of what it and its supervisor tell each other."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from typing import BinaryIO

from camgraph_server.processes.messages import Message, line_of, message_of


class Link:
    """Sends messages to the supervisor, and hears its own. When the supervisor has gone, this process stops.

    Args:
        incoming: What the supervisor writes. It has no buffer: one that a thread reads holds up the end of Python.
        outgoing: What it reads.

    Attributes:
        on_message: Called with each message, on a thread of its own; with None when the supervisor has gone.
    """

    def __init__(self, incoming: FileIO, outgoing: BinaryIO) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        # Who sends never waits for the supervisor; Python writes what is left before it ends.
        self._sending = ThreadPoolExecutor(1, thread_name_prefix="camgraph-telling")
        self.on_message: Callable[[Message | None], None] = lambda _: None
        threading.Thread(target=self._follow, name="camgraph-supervised", daemon=True).start()

    def send(self, message: Message) -> None:
        """Sends a message; any thread may."""
        self._sending.submit(self._write, line_of(message))

    def _write(self, line: bytes) -> None:
        self._outgoing.write(line)  # an error is the supervisor's end, which the other thread sees
        self._outgoing.flush()

    def _follow(self) -> None:
        try:
            while (line := self._incoming.readline()).endswith(b"\n"):  # half a line is the last of one that was killed
                self.on_message(message_of(line))
        finally:
            self.on_message(None)
            os.kill(os.getpid(), signal.SIGTERM)  # nobody would restart or stop this process any more
