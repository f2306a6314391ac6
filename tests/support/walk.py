"""Follows a request through the rooms of the server: who calls whom, on every thread."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

ROOMS = ("transport", "service", "scheduling", "models")
"""The rooms, from the top to the bottom. What else the server has stands beside them."""

_PACKAGE = "camgraph_server."


@dataclass
class Step:
    """A call from one room, or from outside the server, into a function of a room.

    ``function`` is the qualified name without the file; ``caller`` is None for what gRPC or a new thread calls.
    """

    caller: str | None
    room: str
    function: str


@dataclass
class Walk:
    """All calls of the server's functions while it is recorded, in their order."""

    calls: list[Step] = field(default_factory=list)
    _seen: dict[int, FrameType] = field(default_factory=dict)  # by identity: frames that live cannot share one
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def entries(self) -> list[Step]:
        """The calls that enter one of the rooms from another place."""
        return [step for step in self.calls if step.room in ROOMS and step.caller != step.room]

    @property
    def climbs(self) -> list[Step]:
        """The calls from a room to one above it, or from beside the rooms into one."""
        return [step for step in self.entries if step.caller is not None and _depth(step.caller) > _depth(step.room)]

    def record(self, frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or (room := _room(frame)) is None:
            return
        with self._lock:
            if id(frame) in self._seen:  # a coroutine that goes on
                return
            self._seen[id(frame)] = frame
            self.calls.append(Step(_caller(frame), room, frame.f_code.co_qualname))


@contextlib.contextmanager
def recorded() -> Iterator[Walk]:
    """Records this thread, and those that start meanwhile."""
    walk = Walk()
    threading.setprofile(walk.record)
    sys.setprofile(walk.record)
    try:
        yield walk
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]  # it takes None, whatever its stub says


def _depth(room: str) -> int:
    return ROOMS.index(room) if room in ROOMS else len(ROOMS)


def _room(frame: FrameType) -> str | None:
    module = str(frame.f_globals.get("__name__", ""))
    return module.removeprefix(_PACKAGE).partition(".")[0] if module.startswith(_PACKAGE) else None


def _caller(frame: FrameType) -> str | None:
    above = frame.f_back
    while above is not None:
        if (room := _room(above)) is not None:
            return room
        above = above.f_back
    return None
