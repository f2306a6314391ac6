"""Processes that the supervisor has not started, but gets when those end that have.

A worker has a process that opens files. If the worker is killed, that process goes to the next one that collects
orphans, which is the supervisor where it is the first process of a container. It then must ask for its exit code, or
the process stays in the kernel's table for good.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection

LOOK = 5.0  # seconds between two looks


async def collect_orphans(own: Callable[[], Collection[int]]) -> None:
    """Collects those that have ended, without end.

    A child of our own is left to who has started it. One that was started a moment ago may not be known yet: so only
    those are collected that nobody else has collected from one look to the next.

    Args:
        own: Gives the numbers of our own children.
    """
    seen = None
    while True:
        await asyncio.sleep(LOOK)
        while (ended := _ended()) is not None and ended == seen and ended not in own():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(ended, os.WNOHANG)
        seen = ended


def _ended() -> int | None:
    """The number of a child that has ended and was not collected; it stays so."""
    if not hasattr(os, "waitid"):  # as on macOS, where no process but the first of the system gets orphans
        return None
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # there are no children
        return None
    return None if found is None else found.si_pid
