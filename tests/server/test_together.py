"""What a supervisor decides of a change, and whom it waits for; the workers are played."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from camgraph_server.config import ServerConfig
from camgraph_server.processes.messages import (
    Answer,
    Asks,
    Change,
    Found,
    Joins,
    Settled,
    Unloaded,
    Verdict,
    line_of,
    message_of,
)
from camgraph_server.processes.supervisor import Supervisor
from camgraph_server.processes.together import Together, found_by_all

A, B = "a/1", "b/1"


@pytest.mark.parametrize(
    ("kind", "found", "lateness", "reasons", "problem"),
    [
        ("load", [({A: ""}, ""), ({A: ""}, "")], "", {A: ""}, ""),
        ("load", [({A: ""}, ""), ({A: "torn"}, "")], "", {A: "torn"}, ""),
        ("load", [({A: "torn"}, ""), ({A: ""}, "")], "", {A: "torn"}, ""),
        ("load", [({A: "", B: "torn"}, ""), ({A: "", B: ""}, "")], "", {A: "", B: "torn"}, ""),
        ("load", [({A: ""}, ""), ({A: "", B: ""}, "")], "", {A: "", B: "Not every process finds its files."}, ""),
        (
            "load",
            [({A: ""}, ""), ({}, "no such model")],
            "",
            {A: "Not every process finds its files."},
            "no such model",
        ),
        ("load", [({A: ""}, "")], "one is late", {A: ""}, "one is late"),
        ("load", [], "all are late", {}, "all are late"),
        ("unload", [({A: ""}, ""), ({A: ""}, "")], "", {A: ""}, ""),
        ("unload", [({A: ""}, ""), ({}, "")], "one is late", {A: ""}, ""),
        ("unload", [({}, ""), ({}, "")], "", {}, ""),
    ],
)
def test_what_is_decided(kind, found, lateness, reasons, problem):
    reports = [Found(7, each, why) for each, why in found]
    assert found_by_all(7, kind, reports, lateness) == Verdict(7, reasons, problem)


@pytest.mark.parametrize(
    "message", [Found(3, {"ü/1": 'it says "no"\nand more'}), Change(1, "load", "a", "", 4), Unloaded([A, B])]
)
def test_a_message_is_one_line_and_comes_back(message):
    line = line_of(message)
    assert line.count(b"\n") == 1
    assert message_of(line) == message


class Worker:
    """Answers each message as its part says; None says nothing."""

    def __init__(self, together: Together, found: dict[str, str] | None, *, settles: bool = True) -> None:
        self.together, self.found, self.settles = together, found, settles
        self.told: list[object] = []

    def tell(self, message: object) -> None:
        self.told.append(message)
        if isinstance(message, Change) and self.found is not None:
            self._later(Found(message.number, self.found))
        if isinstance(message, Verdict) and self.settles:
            self._later(Settled(message.number))

    def _later(self, report: Found | Settled) -> None:
        asyncio.get_running_loop().call_soon(self.together.hear, self, report)

    @property
    def answers(self) -> list[str]:
        return [message.problem for message in self.told if isinstance(message, Answer)]


async def joined(together: Together, *workers: Worker) -> None:
    for worker in workers:
        await together.join(worker)


async def test_what_calls_unloaded_is_told_to_who_joins_until_it_is_loaded_again():
    together = Together(5.0)
    first, second, third, fourth = (Worker(together, {A: "", B: ""}) for _ in range(4))
    await joined(together, first)
    await together.change(first, Asks(0, "unload", "", ""))
    await together.join(second)
    assert second.told == [Unloaded([A, B])]
    for worker in (first, second):
        worker.found = {A: ""}
    await together.change(second, Asks(0, "load", "a", ""))
    await together.join(third)
    assert third.told == [Unloaded([B])]
    third.found = {B: "torn"}
    first.found = second.found = {B: ""}
    await together.change(first, Asks(1, "load", "b", ""))  # changes nothing
    await together.join(fourth)
    assert fourth.told == [Unloaded([B])]
    assert (first.answers, second.answers) == (["", ""], [""])


async def test_who_does_not_settle_is_said():
    together = Together(0.1)
    busy, idle = Worker(together, None, settles=False), Worker(together, {A: ""})
    await joined(together, busy, idle)
    await together.change(idle, Asks(0, "load", "a", ""))
    assert idle.told[-2].problem == "1 of 2 processes did not load it within 0.1 s."
    assert idle.answers == [""]  # its own part says the rest
    await together.change(busy, Asks(0, "load", "a", ""))
    assert busy.answers == ["1 of 2 processes did not load it within 0.1 s."]
    await together.change(idle, Asks(1, "reload", "", ""))
    assert "2 of 2 processes have not followed yet" in idle.answers[-1]


async def test_who_leaves_is_waited_for_no_more():
    together = Together(60.0)
    leaving, staying = Worker(together, None), Worker(together, {A: ""})
    await joined(together, leaving, staying)
    changing = asyncio.ensure_future(together.change(staying, Asks(0, "unload", "a", "")))
    await asyncio.sleep(0)
    together.leave(leaving)
    await asyncio.wait_for(changing, 30)
    assert staying.answers == [""]
    assert together.unloaded == {A}
    await together.change(leaving, Asks(0, "load", "a", ""))
    assert "still loads its models, or stops" in leaving.answers[0]


async def test_who_leaves_before_it_has_joined_takes_part_in_nothing():
    together = Together(60.0)
    staying, leaving = Worker(together, None), Worker(together, None)
    await joined(together, staying)
    changing = asyncio.ensure_future(together.change(staying, Asks(0, "unload", "a", "")))
    await asyncio.sleep(0)
    joining = asyncio.ensure_future(together.join(leaving))  # waits for the end of the change
    await asyncio.sleep(0)
    together.leave(leaving)
    together.leave(staying)
    await asyncio.wait_for(asyncio.gather(changing, joining), 30)
    assert leaving.told == []
    await together.change(leaving, Asks(0, "load", "a", ""))
    assert "still loads its models, or stops" in leaving.answers[0]


class Dying(Worker):
    """Asks to join, and ends."""

    is_over = False

    async def messages(self):
        yield Joins()

    async def end(self) -> None:
        self.is_over = True


async def test_the_end_of_a_worker_is_seen_while_it_waits_to_join(tmp_path):
    supervisor = Supervisor(ServerConfig(tmp_path, listen="127.0.0.1:0", processes=2))
    together = supervisor._together
    busy = Worker(together, None)
    await together.join(busy)
    changing = asyncio.ensure_future(together.change(busy, Asks(0, "load", "a", "")))
    await asyncio.sleep(0)
    dying = Dying(together, None)
    with contextlib.closing(supervisor._port):
        await asyncio.wait_for(supervisor._see_through(dying), 10)  # the change may take much longer
    assert dying.is_over
    assert not changing.done()
    together.leave(busy)
    await asyncio.wait_for(changing, 30)


async def test_too_many_are_refused_and_one_comes_after_the_other():
    together = Together(60.0)
    worker = Worker(together, {A: ""})
    await together.join(worker)
    await asyncio.gather(*(together.change(worker, Asks(number, "unload", "a", "")) for number in range(120)))
    assert sum("wait already" in answer for answer in worker.answers) == 20
    numbers = [message.number for message in worker.told if isinstance(message, Change)]
    verdicts = [message.number for message in worker.told if isinstance(message, Verdict)]
    assert numbers == verdicts == list(range(100))
