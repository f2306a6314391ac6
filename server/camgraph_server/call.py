"""One call on its way through the server: what every room may know of it, and what is said of it at its end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from camgraph_server.budget import Share


@dataclass(eq=False)
class Call:
    """One call, whatever becomes of it. The rooms fill it in as it goes down; transport logs it at its end.

    Attributes:
        rpc: Name of the method.
        peer: Who calls.
        deadline: Time on the clock of `time.monotonic` after which the caller does not wait any more.
        answer: Memory that its answer takes, from when it is drawn until it is written.
        started: When it came, on the clock of `time.monotonic`.
        status: Name of gRPC's status code; a call that its caller gives up ends as it began.
        model: Name of the model, as it was asked for or found.
        version: Version that was found.
        request_id: As the caller gave it.
        queue_ms: Milliseconds that it waited for a worker.
        inference_ms: Milliseconds that the graph took.
        received: Bytes of the request.
        sent: Bytes of the answer.
        reason: The sentence that the caller got in place of an answer.
    """

    rpc: str
    peer: str
    deadline: float | None
    answer: Share
    started: float = field(default_factory=time.monotonic)
    status: str = "CANCELLED"
    model: str | None = None
    version: str | None = None
    request_id: str | None = None
    queue_ms: float | None = None
    inference_ms: float | None = None
    received: int | None = None
    sent: int | None = None
    reason: str | None = None

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since it came."""
        return (time.monotonic() - self.started) * 1e3
