"""Callers that keep a server busy, and send again what failed, while something happens to it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
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


Explains: TypeAlias = Callable[..., object]


@contextmanager
def own_client(address: str) -> Iterator[Explains]:
    """Camgraph's own client, which sends some calls again that gRPC does not."""
    with Client(Connection(address, timeout=PATIENCE)) as client:
        yield client.model().explain


@contextmanager
def policy_alone(address: str) -> Iterator[Explains]:
    """What gRPC itself sends again by its retry policy, as any other client has it."""
    options = [*Connection(address).options(), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(address, options) as channel:
        stub = ExplanationServiceStub(channel)
        yield lambda image: stub.Explain(pb.ExplainRequest(image=pb.EncodedImage(data=image)), timeout=PATIENCE)


@contextmanager
def calling(
    address: str, callers: int, connect: Callable[[str], AbstractContextManager[Explains]] = own_client, **asked: Any
) -> Iterator[Calls]:
    """Calls a server from several threads, each with a connection of its own, until the end of the block."""
    calls, over = Calls(Counter(dict.fromkeys(range(callers), 0))), threading.Event()

    def call(caller: int) -> None:
        with connect(address) as explain:
            while not over.is_set():
                try:
                    explain(png(seed=caller), **asked)
                except (CamgraphError, grpc.RpcError) as error:
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
