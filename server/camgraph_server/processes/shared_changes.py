"""Changes of models that all processes make together, as a worker takes part in them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Collection
from concurrent.futures import Future
from functools import partial

from camgraph_core.errors import CamgraphError, UnavailableError
from camgraph_server.models.changes import Changes
from camgraph_server.models.discovery import Key
from camgraph_server.models.keeper import Keeper
from camgraph_server.models.model import Model
from camgraph_server.models.repository import ModelRepository, Reasons
from camgraph_server.observe.log import log_event
from camgraph_server.processes.link import Link
from camgraph_server.processes.messages import (
    LOAD,
    RELOAD,
    UNLOAD,
    Answer,
    Asks,
    Change,
    Found,
    Joins,
    Leaves,
    Message,
    Settled,
    Unloaded,
    Verdict,
)

_MOST_WAITING = 100
_log = logging.getLogger("camgraph.repository")
_GONE = "The supervisor of this process has gone, and it stops; send the call again."


class SharedChanges(Changes):
    """Asks the supervisor for changes, and makes those that the supervisor tells.

    Args:
        link: The supervisor.
        unloaded: Versions that calls had unloaded when this process was started.
        repository: The models.
        keeper: What changes them.
    """

    def __init__(self, link: Link, unloaded: Collection[str], repository: ModelRepository, keeper: Keeper) -> None:
        self._link, self._repository, self._keeper = link, repository, keeper
        self._numbers = itertools.count()
        self._asked: dict[int, Future[list[Model]]] = {}
        self._outcomes: dict[int, Future[list[Model]]] = {}
        self._verdicts: dict[int, Future[Verdict]] = {}
        self._joined: Future[None] = Future()
        repository.take_up(frozenset(map(_key, unloaded)))
        link.on_message = self._hear

    async def load(self, name: str, version: str) -> list[Model]:
        """See `Changes.load`."""
        return await self._made(LOAD, name, version)

    async def unload(self, name: str, version: str) -> list[Model]:
        """See `Changes.unload`."""
        return await self._made(UNLOAD, name, version)

    async def reload(self) -> None:
        """See `Changes.reload`."""
        await self._made(RELOAD)

    async def join(self) -> None:
        """See `Changes.join`."""
        self._link.send(Joins())
        await asyncio.wrap_future(self._joined)

    def leave(self) -> None:
        """See `Changes.leave`."""
        self._link.send(Leaves())

    async def _made(self, kind: str, name: str = "", version: str = "") -> list[Model]:
        """Has all processes make a change. Returns, or raises, what came of it in this one."""
        if len(self._asked) >= _MOST_WAITING:
            raise UnavailableError(f"{_MOST_WAITING} changes of models wait already; try again later.", retry_after=1.0)
        number, made = next(self._numbers), Future[list[Model]]()
        self._asked[number] = made
        self._link.send(Asks(number, kind, name, version))
        return await asyncio.shield(asyncio.wrap_future(made))

    def _hear(self, message: Message | None) -> None:
        """Takes a message, on the thread of the link."""
        match message:
            case Unloaded(versions):
                self._take_up(versions)
            case Change():
                self._begin(message)
            case Verdict():
                if (verdict := self._verdicts.get(message.number)) is not None:
                    verdict.set_result(message)
                else:  # of a change that was refused here
                    self._link.send(Settled(message.number))
            case Answer():
                self._answer(message)
            case None:
                for number, verdict in list(self._verdicts.items()):
                    if not verdict.done():
                        verdict.set_result(Verdict(number, {}, _GONE))
                for asked in list(self._asked):
                    self._answer(Answer(asked, _GONE))

    def _take_up(self, versions: Collection[str]) -> None:
        with contextlib.suppress(UnavailableError):  # this process stops
            taken = self._keeper.ask(partial(self._repository.take_up, frozenset(map(_key, versions))))
            taken.add_done_callback(lambda _: self._joined.set_result(None))

    def _begin(self, change: Change) -> None:
        verdict = self._verdicts[change.number] = Future[Verdict]()
        try:
            outcome = self._keeper.ask(partial(self._make, change, verdict))
        except UnavailableError as error:
            del self._verdicts[change.number]
            refusal = Settled(change.number) if change.kind == RELOAD else Found(change.number, {}, str(error))
            self._link.send(refusal)  # the others wait for it
            outcome = Future()
            outcome.set_exception(error)
        if change.asked is not None:
            self._outcomes[change.asked] = outcome

    def _make(self, change: Change, verdict: Future[Verdict]) -> list[Model]:
        """Makes a change, on the thread that changes the models, which does nothing else until all have found out."""
        agreement = _Agreement(self._link, change.number, verdict)
        try:
            if change.kind == RELOAD:
                self._repository.reload()
                return []
            make = self._repository.load_model if change.kind == LOAD else self._repository.unload_model
            try:
                return make(change.name, change.version, agreement.on)
            except Exception as error:  # whatever it is, the others wait for what was found here
                if not agreement.is_reached:
                    agreement.on({}, _problem(error))
                raise
        finally:
            del self._verdicts[change.number]
            self._link.send(Settled(change.number))

    def _answer(self, answer: Answer) -> None:
        made, outcome = self._asked.pop(answer.asked), self._outcomes.pop(answer.asked, None)
        if answer.problem or outcome is None:
            made.set_exception(UnavailableError(answer.problem or _GONE, retry_after=1.0))
        else:
            outcome.add_done_callback(partial(_hand_on, made))


class _Agreement:
    """What all processes decide together on one change."""

    def __init__(self, link: Link, number: int, verdict: Future[Verdict]) -> None:
        self._link, self._number, self._verdict = link, number, verdict
        self.is_reached = False

    def on(self, reasons: Reasons, problem: str = "") -> Reasons:
        """Tells what this process found, waits for the others, and gives what is to be done."""
        self.is_reached = True
        self._link.send(Found(self._number, {"/".join(key): reason for key, reason in reasons.items()}, problem))
        verdict = self._verdict.result()
        agreed = reasons | {_key(version): reason for version, reason in verdict.reasons.items()}
        return {key: verdict.problem or reason for key, reason in agreed.items()}


def _hand_on(to: Future[list[Model]], outcome: Future[list[Model]]) -> None:
    if (error := outcome.exception()) is not None:
        to.set_exception(error)
    else:
        to.set_result(outcome.result())


def _problem(error: Exception) -> str:
    if isinstance(error, CamgraphError):
        return str(error)
    log_event(_log, logging.ERROR, "unexpected error in a change of models", trace=True)
    return f"A process could not make the change ({type(error).__name__}); its log says why."


def _key(version: str) -> Key:
    name, _, number = version.rpartition("/")
    return name, number
