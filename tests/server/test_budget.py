"""Memory that is lent: who waits, who gives up, and what becomes of those behind."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest

from camgraph_runtime.run.stop import Stop, StoppedError
from camgraph_server.budget import Budget
from support.serving import PATIENCE


class Borrower:
    """A call that holds what it is lent until it is told to give it back."""

    def __init__(self, budget: Budget, size: int, client: str = "") -> None:
        self.back = asyncio.Event()
        self.lent = asyncio.Event()
        self.task = asyncio.ensure_future(self._borrow(budget, size, client))

    async def _borrow(self, budget: Budget, size: int, client: str) -> None:
        with await budget.lent_to_call(size, client):
            self.lent.set()
            await self.back.wait()

    async def leave(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


async def started(budget: Budget, *sizes: int) -> list[Borrower]:
    borrowers = []
    for size in sizes:
        borrowers.append(Borrower(budget, size))
        await asyncio.sleep(0)
    return borrowers


async def test_who_gives_up_at_the_head_makes_way_for_those_behind():
    budget = Budget(10)
    holder, large, small = await started(budget, 6, 6, 3)
    assert holder.lent.is_set()
    assert not small.lent.is_set()
    await large.leave()
    await asyncio.wait_for(small.lent.wait(), PATIENCE)  # although nobody has given anything back
    assert budget.held == 9
    for borrower in (holder, small):
        borrower.back.set()
        await borrower.task
    assert budget.held == 0
    assert not budget.is_wanted


async def test_who_gives_up_does_not_take_the_turn_of_its_client_with_it():
    budget = Budget(10)
    holder, first, second, other = (Borrower(budget, 10, client) for client in ("x", "a", "a", "b"))
    await asyncio.sleep(0)
    await first.leave()
    holder.back.set()
    await asyncio.wait_for(second.lent.wait(), PATIENCE)
    assert not other.lent.is_set()
    for borrower in (holder, second, other):
        borrower.back.set()
        await borrower.task
    assert budget.held == 0


async def test_who_gives_up_last_leaves_no_trace():
    budget = Budget(10)
    holder, waiting = await started(budget, 10, 10)
    await waiting.leave()
    assert budget.held == 10
    holder.back.set()
    await holder.task
    assert (budget.held, budget.is_wanted) == (0, False)


def test_a_thread_that_waits_is_ended_and_makes_way_for_those_behind():
    budget, stop, errors = Budget(10), Stop(), list[BaseException]()

    def wait_for(size: int, stop: Stop) -> None:
        try:
            with budget.lent_to_thread(size, stop):
                pass
        except StoppedError as error:
            errors.append(error)

    with budget.lent_to_thread(6, Stop()):
        threads = [threading.Thread(target=wait_for, args=args) for args in ((6, stop), (3, Stop()))]
        for thread in threads:
            thread.start()
            while not budget.is_wanted:
                pass
        stop.ask()
        for thread in threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in threads)
        assert len(errors) == 1
        assert budget.held == 6
    assert budget.held == 0


def test_work_that_was_ended_before_borrows_nothing():
    budget, stop = Budget(10), Stop()
    stop.ask()
    with pytest.raises(StoppedError), budget.lent_to_thread(3, stop):
        pass
    assert (budget.held, budget.is_wanted) == (0, False)


async def test_a_budget_that_grows_serves_those_who_wait_and_one_that_shrinks_blocks_nobody():
    budget = Budget(4)
    holder, waiting = await started(budget, 4, 3)
    budget.resize(8)
    await asyncio.wait_for(waiting.lent.wait(), PATIENCE)
    [larger] = await started(budget, 8)
    budget.resize(2)  # `larger` asked for all that there was
    for borrower in (holder, waiting):
        borrower.back.set()
        await borrower.task
    await asyncio.wait_for(larger.lent.wait(), PATIENCE)
    larger.back.set()
    await larger.task
    assert budget.held == 0
