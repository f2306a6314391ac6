"""Methods whose calls are treated unlike others: the whole list for gRPC. Addresses of HTTP name their rule themselves.

Every method that is not named here belongs to a caller that is known, is refused during a stop, and is waited for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """How the calls of a method are treated.

    Attributes:
        is_open: Whether a caller needs no identity.
        is_counted: Whether it is refused during a stop, and a stop waits for it.
        is_quiet: Whether a call that succeeds is logged at level debug.
        most: Calls at once on the server; None means that its work is bounded elsewhere.
        most_of_one: Calls at once of one caller, where there is a limit for the server.
    """

    is_open: bool = False
    is_counted: bool = True
    is_quiet: bool = False
    most: int | None = None
    most_of_one: int = 0


DEFAULT = Rule()

PROBE = Rule(is_open=True, is_counted=False, is_quiet=True)
"""Probes have no token, and must learn that the server stops."""

SCRAPE = Rule(is_counted=False, is_quiet=True)
"""Metrics are asked for during a stop, too."""

EXCEPTIONS: Mapping[str, Rule] = {
    "/grpc.health.v1.Health/Check": PROBE,
    # A client holds one per connection for as long as it lives: a stop tells it, and does not wait for it.
    "/grpc.health.v1.Health/Watch": Rule(is_open=True, is_counted=False, is_quiet=True, most=1000, most_of_one=100),
    # A stream that costs its caller nothing to keep open.
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Rule(
        is_counted=False, is_quiet=True, most=16, most_of_one=4
    ),
}


def rule_of(method: str) -> Rule:
    """The rule of a method by its full name, `/SERVICE/METHOD`."""
    return EXCEPTIONS.get(method, DEFAULT)
