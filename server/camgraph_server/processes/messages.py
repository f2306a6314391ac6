"""What a supervisor and its workers tell each other over a worker's stdin and stdout: one message per line.

A version of a model is written as ``NAME/VERSION``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias, get_args

LOAD, UNLOAD, RELOAD = "load", "unload", "reload"


@dataclass(frozen=True)
class Ready:
    """From a worker: it answers calls, and tells its metrics at an address, if it does."""

    metrics: str | None


@dataclass(frozen=True)
class CannotStart:
    """From a worker: why."""

    problem: str
    exit_code: int


@dataclass(frozen=True)
class Joins:
    """From a worker: its models are loaded, and it takes part in changes from now on."""


@dataclass(frozen=True)
class Leaves:
    """From a worker: it stops, and takes part no more."""


@dataclass(frozen=True)
class Asks:
    """From a worker: a caller wants a change. ``asked`` is the worker's own number for it."""

    asked: int
    kind: str
    name: str
    version: str


@dataclass(frozen=True)
class Found:
    """From a worker: what it found, and has not changed yet.

    Attributes:
        number: The change.
        reasons: Why each version cannot be loaded; empty texts for those that can, or are to be unloaded.
        problem: Why nothing can be done at all; empty otherwise.
    """

    number: int
    reasons: dict[str, str]
    problem: str = ""


@dataclass(frozen=True)
class Settled:
    """From a worker: it has done what was decided."""

    number: int


@dataclass(frozen=True)
class Unloaded:
    """To a worker that joins: what calls have unloaded."""

    versions: list[str]


@dataclass(frozen=True)
class Change:
    """To every worker: a change begins. ``asked`` is the number that the worker gave it, if it asked for it."""

    number: int
    kind: str
    name: str
    version: str
    asked: int | None = None


@dataclass(frozen=True)
class Verdict:
    """To every worker: what is to become of a change, with the reasons and the problem of all of them together."""

    number: int
    reasons: dict[str, str]
    problem: str = ""


@dataclass(frozen=True)
class Answer:
    """To the worker that asked: all have done it, or why that cannot be said."""

    asked: int
    problem: str


Message: TypeAlias = (
    Ready | CannotStart | Joins | Leaves | Asks | Found | Settled | Unloaded | Change | Verdict | Answer
)
_KINDS: dict[str, Any] = {kind.__name__: kind for kind in get_args(Message)}


def line_of(message: Message) -> bytes:
    """A message as a line, with its end."""
    return json.dumps([type(message).__name__, asdict(message)]).encode() + b"\n"


def message_of(line: bytes) -> Message:
    """The message of a line."""
    kind, fields = json.loads(line)
    message: Message = _KINDS[kind](**fields)
    return message
