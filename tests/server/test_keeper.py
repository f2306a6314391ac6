"""The thread that follows the models' files: it looks between other work, survives what fails, and stops."""

from __future__ import annotations

import threading

import pytest

from camgraph_core.errors import UnavailableError
from camgraph_server.models.keeper import Keeper
from support.serving import PATIENCE


def test_the_keeper_looks_between_and_survives_what_it_does():
    looked, rested = threading.Semaphore(0), threading.Event()

    def look() -> None:
        looked.release()
        raise OSError("a disk that fails")

    keeper = Keeper(look, 0.01, rested.set)
    with pytest.raises(ZeroDivisionError):
        keeper.ask(lambda: 1 // 0).result(PATIENCE)
    assert all(looked.acquire(timeout=PATIENCE) for _ in range(3))
    assert keeper.ask(lambda: 7).result(PATIENCE) == 7
    assert rested.wait(PATIENCE)
    assert keeper.stop(PATIENCE)
    with pytest.raises(UnavailableError, match="stopping"):
        keeper.ask(look)


def test_what_waits_for_a_keeper_that_is_stopped_is_told_so():
    begun, go_on = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(PATIENCE)

    keeper = Keeper(lambda: None, 0, lambda: None)
    first, second = keeper.ask(work), keeper.ask(lambda: 1)
    assert begun.wait(PATIENCE)
    assert not keeper.stop(0.01)
    go_on.set()
    first.result(PATIENCE)
    with pytest.raises(UnavailableError, match="stopping"):
        second.result(PATIENCE)
