"""What a worker tells of changes that it cannot make, so that the others do not wait for it; the others are played."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from camgraph_core.errors import NotReadyError, UnavailableError
from camgraph_server.models.keeper import Keeper
from camgraph_server.processes.messages import LOAD, RELOAD, UNLOAD, Change, Found, Message, Settled, Verdict
from camgraph_server.processes.shared_changes import SharedChanges

NUMBER = 3


class Supervisor:
    """A link whose other end decides at once what it is told, and keeps it."""

    def __init__(self) -> None:
        self.told: list[Message] = []
        self.on_message: Callable[[Message | None], None] = lambda _: None

    def send(self, message: Message) -> None:
        self.told.append(message)
        if isinstance(message, Found):
            self.on_message(Verdict(message.number, message.reasons, message.problem))


class Full:
    """A keeper that takes nothing more."""

    def ask(self, _: Callable[[], Any]) -> Any:
        raise UnavailableError("Too many changes wait.")


class Broken:
    """A repository that is as broken as it is told to be."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def take_up(self, _: object) -> None:
        """Has nothing to do."""

    def load_model(self, *_: object) -> Any:
        assert self._error is not None
        raise self._error

    reload = unload_model = load_model


def told(kind: str, repository: Broken, keeper: Any) -> list[Message]:
    supervisor = Supervisor()
    SharedChanges(cast("Any", supervisor), (), cast("Any", repository), keeper)
    supervisor.on_message(Change(NUMBER, kind, "tiny", ""))
    return supervisor.told


@pytest.mark.parametrize("kind", [LOAD, UNLOAD])
def test_a_change_for_which_there_is_no_room_is_refused_and_settled(kind):
    assert told(kind, Broken(), Full()) == [Found(NUMBER, {}, "Too many changes wait."), Settled(NUMBER)]


def test_so_is_a_reload():
    assert told(RELOAD, Broken(), Full()) == [Settled(NUMBER)]


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (NotReadyError("torn"), "torn"),
        (OSError(5, "input/output error"), "A process could not make the change (OSError); its log says why."),
    ],
)
@pytest.mark.parametrize("kind", [LOAD, UNLOAD])
def test_whatever_goes_wrong_is_told_and_settled(kind, error, problem):
    keeper = Keeper(lambda: None, 0, lambda: None)
    found = told(kind, Broken(error), keeper)
    keeper.stop(10.0)
    assert found == [Found(NUMBER, {}, problem), Settled(NUMBER)]
