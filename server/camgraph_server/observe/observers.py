"""Who is told of calls: the log, the metrics, and what else is in the list of the assembly."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from camgraph_server.call import Call
from camgraph_server.observe.log import log_event

if TYPE_CHECKING:  # the supervisor of several processes watches, too, and stays small without NumPy
    from camgraph_core.clips import AnyResult
    from camgraph_core.request import Addressed
    from camgraph_runtime.explainers import AnyExplainer

_log = logging.getLogger("camgraph.observe")


@dataclass(frozen=True)
class Explained:
    """A request that was worked on.

    Attributes:
        explainer: What worked on it.
        addressed: The request.
        result: Its result, with the outputs that were asked for.
    """

    explainer: AnyExplainer
    addressed: Addressed
    result: AnyResult


class Observer:
    """Is told of every call of the server, whatever its end. Each method does nothing unless it is overridden.

    Each request of a stream is told as a call of its own, whose `Call.item` is set, within the call of its stream.

    `began` and `ended` run on the event loop, so they must be short; `explained` runs on a worker's thread.
    """

    async def start(self) -> None:
        """Opens what it needs, before the server answers.

        Raises:
            CamgraphError: It cannot be opened.
        """

    async def stop(self) -> None:
        """Closes it, after the last call. It takes a few seconds at most."""

    def began(self, call: Call) -> None:
        """A call has come; its request has not been received."""

    def explained(self, call: Call, explained: Explained) -> None:
        """A request was worked on; its answer has not been written, and may never be."""

    def ended(self, call: Call) -> None:
        """A call is over: answered, failed, refused, given up or expired."""


class Observers:
    """Tells several observers; one that fails is logged, and neither the call nor the other observers notice.

    Attributes:
        live: The calls that have not ended.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers
        self._of_begins = [each for each in observers if type(each).began is not Observer.began]
        self.live: set[Call] = set()

    def __iter__(self) -> Iterator[Observer]:
        return iter(self._observers)

    async def start(self) -> None:
        """Starts each.

        Raises:
            CamgraphError: One cannot be started.
        """
        for observer in self._observers:
            await observer.start()

    async def stop(self) -> None:
        """Stops each."""
        for observer in self._observers:
            await observer.stop()

    @contextmanager
    def watching(self, call: Call) -> Iterator[Call]:
        """From the beginning of a call to its end."""
        self.begin(call)
        try:
            yield call
        finally:
            self.end(call)

    def begin(self, call: Call) -> None:
        """A call has come."""
        self.live.add(call)
        if self._of_begins:
            self._tell(lambda observer: observer.began(call), self._of_begins)

    def end(self, call: Call) -> None:
        """A call is over."""
        call.end()
        self.live.discard(call)
        self._tell(lambda observer: observer.ended(call), self._observers)

    def explained(self, call: Call, explained: Explained) -> None:
        """A request was worked on."""
        self._tell(lambda observer: observer.explained(call, explained), self._observers)

    def _tell(self, tell: Callable[[Observer], None], observers: Sequence[Observer]) -> None:
        for observer in observers:
            try:
                tell(observer)
            except Exception:  # what watches must not harm what it watches
                log_event(_log, logging.ERROR, "observer failed", trace=True, observer=type(observer).__name__)
