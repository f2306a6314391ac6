"""Callers that keep a server busy with camgraph's own client, and its retry policy, while something happens to it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from camgraph_client import Client, Connection
from camgraph_core.errors import CamgraphError
from support.serving import PATIENCE, png


@dataclass
class Calls:
    """What became of the calls so far."""

    answered: Counter[int] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def wait_for(self, count: int) -> None:
        """Waits until each caller has so many answers more than now."""
        with self.lock:
            wanted = {caller: done + count for caller, done in self.answered.items()}
        until = time.monotonic() + PATIENCE
        while not all(self.answered[caller] >= least for caller, least in wanted.items()):
            assert time.monotonic() < until, f"callers have no answers any more: {self.failed[:3]}"
            time.sleep(0.01)


@contextmanager
def calling(address: str, callers: int, **asked: Any) -> Iterator[Calls]:
    """Calls a server from several threads, each with a connection of its own, until the end of the block."""
    calls, over = Calls(Counter(dict.fromkeys(range(callers), 0))), threading.Event()

    def call(caller: int) -> None:
        with Client(Connection(address, timeout=PATIENCE)) as client:
            model = client.model()
            while not over.is_set():
                try:
                    model.explain(png(seed=caller), **asked)
                except CamgraphError as error:
                    with calls.lock:
                        calls.failed.append(str(error))
                with calls.lock:
                    calls.answered[caller] += 1

    threads = [threading.Thread(target=call, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield calls
    finally:
        over.set()
        for thread in threads:
            thread.join(PATIENCE)
