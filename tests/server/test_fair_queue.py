"""Several clients: each gets its share of the workers, of the places and of the memory, whatever the others send."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from camgraph_core.errors import OverLimitError, UnavailableError
from camgraph_server.budget import Budget
from camgraph_server.scheduling import fair_queue
from camgraph_server.scheduling.fair_queue import FairQueue
from camgraph_server.scheduling.scheduler import Scheduler
from support.serving import PATIENCE


@dataclass(eq=False)
class Named:
    client: str
    number: int = 0


def filled(**counts: int) -> FairQueue[Named]:
    queue: FairQueue[Named] = FairQueue()
    for client, count in counts.items():
        for number in range(count):
            queue.add(Named(client, number))
    return queue


def taken(queue: FairQueue[Named], cost: Callable[[Named], float] = lambda _: 1.0) -> list[Named]:
    order = []
    while queue:
        order.append(queue.take(0.0))
        queue.charge(order[-1].client, cost(order[-1]))
    return order


def test_who_sends_one_waits_for_one_of_each_other():
    queue = filled(greedy=100, other=3)
    assert queue.ahead_of("new") == 2
    queue.add(Named("new"))
    order = taken(queue)
    assert [job.client for job in order[:9]] == ["greedy", "other", "new"] + ["greedy", "other"] * 2 + ["greedy"] * 2
    assert [job.number for job in order if job.client == "greedy"] == list(range(100))


def test_who_has_large_jobs_gets_fewer_of_them():
    order = taken(filled(large=30, small=30), lambda job: 10.0 if job.client == "large" else 1.0)
    small_before = [
        sum(job.client == "small" for job in order[:position])
        for position, job in enumerate(order)
        if job.client == "large"
    ]
    assert small_before[:3] == [0, 10, 20]


def test_an_estimate_is_corrected_by_what_a_job_took():
    queue = filled(a=3, b=3)
    first = queue.take(1.0)
    assert first.client == "a"
    queue.charge("a", 9.0)  # it took 10 s, not 1 s
    assert [queue.take(1.0).client for _ in range(5)] == ["b", "b", "b", "a", "a"]


def test_who_was_away_has_nothing_to_catch_up_on():
    queue = filled(busy=50)
    for _ in range(40):
        queue.take(1.0)
    for number in range(10):
        queue.add(Named("late", number))
    assert [job.client for job in taken(queue)][:8].count("late") == 4


def test_a_client_that_leaves_and_comes_back_does_not_get_ahead():
    queue = filled(a=1, b=50)
    order = []
    for _ in range(20):
        order.append(queue.take(1.0).client)
        if order[-1] == "a":
            queue.add(Named("a"))
    assert abs(order.count("a") - 10) <= 1


def test_jobs_leave_from_anywhere():
    queue = filled(a=3, b=1)
    jobs = list(queue)
    assert queue.remove(jobs[1])
    assert not queue.remove(jobs[1])
    assert queue.remove(jobs[3])
    assert len(queue) == 2
    assert [job.number for job in taken(queue)] == [0, 2]
    with pytest.raises(IndexError):
        queue.take(1.0)


def test_ahead_is_what_comes_before():
    for counts in itertools.product(range(4), repeat=3):
        queue = filled(**dict(zip("abc", counts, strict=True)))
        ahead = queue.ahead_of("a")
        last = Named("a", 99)
        queue.add(last)
        assert abs(taken(queue).index(last) - ahead) <= 2  # the order among those of one round is left open


@pytest.mark.parametrize(("others", "own", "gives_way"), [(1, 0, False), (2, 0, True), (3, 2, False), (4, 2, True)])
def test_the_greediest_gives_way_to_who_has_less_even_with_one_more(others, own, gives_way):
    queue = filled(greedy=others, own=own)
    newest = queue.greediest(than="own")
    assert (newest is not None) == gives_way
    assert newest is None or (newest.client, newest.number) == ("greedy", others - 1)


def test_many_clients_leave_no_trace(monkeypatch):
    monkeypatch.setattr(fair_queue, "_MOST_REMEMBERED", 10)
    queue: FairQueue[Named] = FairQueue()
    for number in range(1000):
        queue.add(Named(f"client {number}"))
        queue.take(1.0)
    assert len(queue._spent) <= 11


class Held:
    """Work that waits for a signal, and notes whose turn it was."""

    def __init__(self) -> None:
        self.release, self.order, self._lock = threading.Event(), list[str](), threading.Lock()

    def of(self, client: str) -> Callable[..., str]:
        def work(_: object, __: float) -> str:
            assert self.release.wait(PATIENCE)
            with self._lock:
                self.order.append(client)
            return client

        return work


async def test_one_call_among_a_hundred_of_another_is_next_but_one():
    scheduler, held = Scheduler(1, 200), Held()
    greedy = [asyncio.ensure_future(scheduler.run(held.of("greedy"), client="greedy")) for _ in range(100)]
    await asyncio.sleep(0.05)
    other = asyncio.ensure_future(scheduler.run(held.of("other"), client="other"))
    await asyncio.sleep(0.05)
    held.release.set()
    assert await other == "other"
    await asyncio.gather(*greedy)
    assert held.order.index("other") <= 2  # one runs, and one of the greedy client may be before it
    assert scheduler.close(PATIENCE)


async def test_of_a_full_queue_the_newest_of_the_greediest_gives_way():
    scheduler, held = Scheduler(1, 4), Held()
    greedy = [asyncio.ensure_future(scheduler.run(held.of("greedy"), client="greedy")) for _ in range(5)]
    await asyncio.sleep(0.05)
    with pytest.raises(UnavailableError, match="1 running and 4 waiting"):  # the server's limit, not its own
        await scheduler.run(held.of("greedy"), client="greedy")
    others = [asyncio.ensure_future(scheduler.run(held.of("other"), client="other")) for _ in range(2)]
    await asyncio.sleep(0.05)
    with pytest.raises(UnavailableError, match="1 running and 4 waiting"):  # 2 of each wait now
        await scheduler.run(held.of("other"), client="other")
    ended = [call for call in greedy if call.done()]
    assert ended == greedy[-1:-3:-1][::-1]
    for call in ended:
        with pytest.raises(OverLimitError, match="while others wait") as caught:
            await call
        assert caught.value.retry_after > 0
    held.release.set()
    assert [await call for call in (*greedy[:3], *others)] == ["greedy"] * 3 + ["other"] * 2
    assert scheduler.close(PATIENCE)


async def test_a_share_that_is_set_is_held_to():
    scheduler, held = Scheduler(1, 4, max_share=0.5), Held()
    calls = [asyncio.ensure_future(scheduler.run(held.of("a"), client="a"))]
    await asyncio.sleep(0.05)
    calls += [asyncio.ensure_future(scheduler.run(held.of("a"), client="a")) for _ in range(2)]
    await asyncio.sleep(0.05)
    with pytest.raises(OverLimitError, match="2 requests waiting, which is your share"):
        scheduler.check(None, "a")
    scheduler.check(None, "b")
    held.release.set()
    await asyncio.gather(*calls)
    assert scheduler.close(PATIENCE)


async def test_memory_is_lent_to_clients_in_turn():
    budget, order = Budget(10), list[str]()
    first = asyncio.Event()

    async def borrow(owner: str, back: asyncio.Event | None = None) -> None:
        with await budget.lent_to_call(10, owner):
            order.append(owner)
            if back is not None:
                await back.wait()

    holder = asyncio.ensure_future(borrow("greedy", first))
    await asyncio.sleep(0.01)
    waiting = [asyncio.ensure_future(borrow("greedy")) for _ in range(20)]
    await asyncio.sleep(0.01)
    waiting += [asyncio.ensure_future(borrow("other")) for _ in range(2)]
    await asyncio.sleep(0.01)
    waiting[0].cancel()
    first.set()
    await asyncio.gather(holder, *waiting, return_exceptions=True)
    assert order[:5] == ["greedy", "greedy", "other", "greedy", "other"]
    assert len(order) == 22
    assert budget.held == 0


async def test_one_client_cannot_hold_more_memory_than_its_share():
    budget, back = Budget(10, max_share=0.5), asyncio.Event()
    held: list[str] = []

    async def borrow(owner: str) -> None:
        with await budget.lent_to_call(3, owner):
            held.append(owner)
            await back.wait()

    tasks = [asyncio.ensure_future(borrow("greedy")) for _ in range(3)]
    await asyncio.sleep(0.01)
    tasks += [asyncio.ensure_future(borrow("other")) for _ in range(2)]
    await asyncio.sleep(0.01)
    assert held == ["greedy", "other"]
    back.set()
    await asyncio.gather(*tasks)
    assert sorted(held) == ["greedy"] * 3 + ["other"] * 2
    large = asyncio.ensure_future(borrow_all(budget))
    assert await asyncio.wait_for(large, PATIENCE) == 5  # more than a share means the share
    assert budget.held == 0


async def borrow_all(budget: Budget) -> int:
    with await budget.lent_to_call(100, "one") as share:
        return share.size
