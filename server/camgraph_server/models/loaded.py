"""A loaded explainer, and who uses it: it is closed when the last user has left."""

from __future__ import annotations

import threading
from collections.abc import Callable

from camgraph_runtime.explainers import AnyExplainer


class Loaded:
    """A loaded explainer. After it was retired it is closed as soon as nobody uses it.

    Args:
        explainer: The explainer.
        on_closed: Called after it was closed, on any thread.
    """

    def __init__(self, explainer: AnyExplainer, on_closed: Callable[[], None] = lambda: None) -> None:
        self.explainer = explainer
        self._on_closed = on_closed
        self._users = 0
        self._is_retired = False
        self._is_closed = False
        self._lock = threading.Lock()

    def enter(self) -> bool:
        """Counts a user, until `leave`; False if it is closed. It may be retired: who found it before may use it."""
        with self._lock:
            self._users += not self._is_closed
            return not self._is_closed

    def leave(self) -> None:
        """The end of one use. What is closed by this is closed on a thread: the caller may be the event loop."""
        with self._lock:
            self._users -= 1
            is_over = self._ends()
        if is_over:
            threading.Thread(target=self._close, name="camgraph-closing", daemon=True).start()

    def retire(self) -> None:
        """Closes it, at once or after its last user. It blocks."""
        with self._lock:
            self._is_retired = True
            is_over = self._ends()
        if is_over:
            self._close()

    def abandon(self) -> None:
        """Lets nobody in any more, and leaves it open for a user who will never leave."""
        with self._lock:
            self._is_closed = True

    def _ends(self) -> bool:
        """Whether this is the moment in which it is to be closed."""
        ends = self._is_retired and not self._users and not self._is_closed
        self._is_closed |= ends
        return ends

    def _close(self) -> None:
        self.explainer.close()
        self._on_closed()
