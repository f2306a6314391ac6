"""One call on its way through the server, or one request of a stream: what every room may know of it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, get_args

from camgraph_server.access.client import Client
from camgraph_server.budget import Share

Kind = Literal["unary", "bidi_stream", "server_stream"]
"""Which side sends a stream of messages, in the words of the usual metrics."""

Stage = Literal["receive", "decode", "queue", "prepare", "infer", "post", "encode", "write"]
STAGES: tuple[Stage, ...] = get_args(Stage)
"""What a call goes through, in this order: its bytes arrive, its message is read, it waits for a worker, its image
becomes a tensor, the graph runs, maps and pictures are made, the answer's message is made, its bytes leave."""

UNKNOWN = "unknown"
"""Name of service and method of a call for a method that there is not: callers invent names, which must not be kept."""

TRACE_HEADERS = ("traceparent", "tracestate")
"""Headers of W3C Trace Context: the caller's place in a trace."""

_EXPLAINS = ("Explain", "Predict", "ModelInfer", "ModelStreamInfer")  # methods that run a model begin so
_TRACE_ID = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(eq=False)
class Call:
    """One call, whatever becomes of it. The rooms fill it in as it goes down; observers read it at its end.

    Attributes:
        service: Full name of the service.
        rpc: Name of the method.
        peer: Address of the other side.
        client: Who calls.
        deadline: Time on the clock of `time.monotonic` after which the caller does not wait any more.
        answer: Memory that its answer takes, from when it is drawn until it is written.
        kind: Which side sends a stream.
        protocol: How it came.
        is_quiet: Whether the log leaves it out if it succeeds.
        trace: The caller's place in a trace: its headers `TRACE_HEADERS`.
        started: When it came, on the clock of `time.monotonic`.
        came: When it came, in seconds since 1970.
        ended: When it ended, on the clock of `time.monotonic`; None while it goes on.
        timeline: The stages that it entered, each with the time on the clock of `time.monotonic`.
        status: Name of gRPC's status code; a call that its caller gives up ends as it began.
        model: Name of the model, as it was asked for or found.
        version: Version that was found; None until the model was found.
        request_id: As the caller gave it.
        queue_ms: Milliseconds that it waited for a worker.
        inference_ms: Milliseconds that the graph took.
        batch_size: Number of images that the graph ran for at once.
        in_chunks: Whether its answer is written in pieces, so that there are no further copies of it.
        received: Bytes of the request.
        sent: Bytes of the answer.
        reason: The sentence that the caller got in place of an answer.
        item: Of one request of several: the id that its caller gave it, or its number; None for a call.
        items: Of a stream, or a call with several images: how many requests it had.
    """

    service: str
    rpc: str
    peer: str
    client: Client
    deadline: float | None
    answer: Share
    kind: Kind = "unary"
    protocol: Literal["grpc", "http"] = "grpc"
    is_quiet: bool = False
    trace: Mapping[str, str] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    came: float = field(default_factory=time.time)
    ended: float | None = None
    timeline: list[tuple[Stage, float]] = field(default_factory=list)
    status: str = "CANCELLED"
    model: str | None = None
    version: str | None = None
    request_id: str | None = None
    queue_ms: float | None = None
    inference_ms: float | None = None
    batch_size: int = 1
    in_chunks: bool = False
    received: int | None = None
    sent: int | None = None
    reason: str | None = None
    item: str | None = None
    items: int | None = None

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since it came, or that it took."""
        return ((self.ended or time.monotonic()) - self.started) * 1e3

    @property
    def stage(self) -> Stage | None:
        """The stage that it entered last; None before the first."""
        return self.timeline[-1][0] if self.timeline else None

    @property
    def explains(self) -> bool:
        """Whether it asks for the explanation of one image: alone, or as one request of several."""
        is_alone = self.kind == "unary" and self.items is None
        return self.rpc.startswith(_EXPLAINS) and (is_alone or self.item is not None)

    @property
    def trace_id(self) -> str | None:
        """Identifier of the caller's trace; None without one."""
        if not self.trace:
            return None
        found = _TRACE_ID.fullmatch(self.trace.get("traceparent", ""))
        return found[1] if found is not None else None

    def enter(self, stage: Stage) -> None:
        """Ends the stage before and begins this one. A worker may still do so when the call has ended."""
        self.timeline.append((stage, time.monotonic()))

    def end(self) -> None:
        """Stops the clock. A call that is cancelled as its deadline has passed has expired."""
        self.ended = time.monotonic()
        if self.status == "CANCELLED" and self.deadline is not None and self.ended >= self.deadline:
            self.status = "DEADLINE_EXCEEDED"

    def spans(self) -> list[tuple[Stage, float, float]]:
        """Each stage of a call that has ended, with its begin and end on the clock of `time.monotonic`."""
        assert self.ended is not None, "the call goes on"
        entered = [(stage, at) for stage, at in self.timeline if at <= self.ended]
        times = [at for _, at in entered] + [self.ended]
        return [(stage, begin, end) for (stage, _), (begin, end) in zip(entered, pairwise(times), strict=True)]
