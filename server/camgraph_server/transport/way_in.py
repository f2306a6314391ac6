"""What the ways in of all protocols have in common."""

from __future__ import annotations

from dataclasses import dataclass

from camgraph_server.budget import Budget
from camgraph_server.observe.observers import Observers
from camgraph_server.scheduling.gate import Gate
from camgraph_server.transport.security import Security


@dataclass(frozen=True)
class WayIn:
    """What every call meets, whichever protocol it speaks.

    Attributes:
        gate: Counts the calls.
        security: Tells who calls, and holds clients to their limits.
        observers: Are told of every call.
        requests: Memory of requests, from when they arrive until they are answered.
        answers: Memory of answers, from when they are drawn until they are written.
    """

    gate: Gate
    security: Security
    observers: Observers
    requests: Budget
    answers: Budget
