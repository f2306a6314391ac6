"""Work that another thread may end: a run of a graph, or what comes before and after it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from camgraph_core.errors import CamgraphError


class StoppedError(CamgraphError):
    """Work that was ended because nobody waits for its result any more."""


class Stop:
    """Tells running work to end; safe to use from several threads.

    The work asks with `check` between its steps. A step that can be interrupted itself says how with `ending`.
    """

    def __init__(self) -> None:
        self._asked = False
        self._ends: list[Callable[[], object]] = []
        self._lock = threading.Lock()

    @property
    def asked(self) -> bool:
        """Whether the work is to end."""
        return self._asked

    def ask(self) -> None:
        """Asks the work to end, and interrupts the step that is running."""
        with self._lock:
            self._asked = True
            ends = list(self._ends)
        for end in ends:
            end()

    def check(self) -> None:
        """Ends the work here if that was asked.

        Raises:
            StoppedError: It was.

        """
        if self._asked:
            raise StoppedError("The work was ended, as nobody waits for its result.")

    @contextmanager
    def ending(self, end: Callable[[], object]) -> Iterator[None]:
        """While this is entered, `ask` calls ``end``, which must return at once.

        Raises:
            StoppedError: The work is to end already.

        """
        with self._lock:
            self.check()
            self._ends.append(end)
        try:
            yield
        finally:
            with self._lock:
                self._ends.remove(end)
