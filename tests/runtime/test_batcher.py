"""Items of several threads in one run: who runs with whom, for how long they wait, and whose error is whose."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from camgraph_core.errors import UsageError
from camgraph_runtime.run.batch import Batching
from camgraph_runtime.run.batcher import Batcher
from camgraph_runtime.run.stop import Stop, StoppedError

PATIENCE = 30.0
RUNS_AT_ONCE = 2
FOREVER = 1e4  # of a batch that only its size closes


class Squares:
    """Squares numbers, and remembers which ran together. Runs wait until they are let go."""

    def __init__(self, *, waits: bool = False) -> None:
        self.runs: list[list[int]] = []
        self.began = threading.Semaphore(0)
        self.go = threading.Event()
        if not waits:
            self.go.set()

    def __call__(self, items: Sequence[int], stop: Stop) -> list[int]:
        self.runs.append(list(items))
        with stop.ending(self.go.set):
            self.began.release()
            assert self.go.wait(PATIENCE)
        stop.check()
        if any(item < 0 for item in items):
            raise ValueError(f"{min(items)} is below zero")
        return [item * item for item in items]

    def wait_for_runs(self, count: int) -> None:
        for _ in range(count):
            assert self.began.acquire(timeout=PATIENCE)


def wait_for_members(batcher: Batcher[int, int], count: int) -> None:
    """Waits until the batch that still takes items has so many."""
    end = time.monotonic() + PATIENCE
    while sum(len(batch.members) for batch in batcher._open.values()) != count:
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.fixture
def ask() -> Iterator[Callable[..., Future[int]]]:
    with ThreadPoolExecutor(32) as pool:
        yield pool.submit


def test_items_run_together_as_soon_as_a_batch_is_full(ask: Callable[..., Future[int]]) -> None:
    squares = Squares()
    batcher = Batcher(squares, 4, FOREVER, RUNS_AT_ONCE)
    answers = [ask(batcher.answer, "kind", number) for number in range(8)]
    assert [answer.result(PATIENCE) for answer in answers] == [number * number for number in range(8)]
    assert [len(run) for run in squares.runs] == [4, 4]


def test_an_item_alone_waits_no_longer_than_the_delay(ask: Callable[..., Future[int]]) -> None:
    squares = Squares()
    assert ask(Batcher(squares, 4, 0.001, RUNS_AT_ONCE).answer, "kind", 3).result(PATIENCE) == 9
    assert squares.runs == [[3]]


def test_while_all_runs_are_busy_the_next_batch_goes_on_filling(ask: Callable[..., Future[int]]) -> None:
    squares = Squares(waits=True)
    batcher = Batcher(squares, 4, 0.0, RUNS_AT_ONCE)
    first = []
    for number in range(RUNS_AT_ONCE):
        first.append(ask(batcher.answer, "kind", number))
        squares.wait_for_runs(1)
    later = [ask(batcher.answer, "kind", 10 + number) for number in range(3)]
    wait_for_members(batcher, 3)
    assert len(squares.runs) == RUNS_AT_ONCE
    squares.go.set()
    assert [answer.result(PATIENCE) for answer in first] == [0, 1]
    assert [answer.result(PATIENCE) for answer in later] == [100, 121, 144]
    assert sorted(squares.runs[-1]) == [10, 11, 12]


def test_only_items_of_one_kind_run_together(ask: Callable[..., Future[int]]) -> None:
    squares = Squares()
    batcher = Batcher(squares, 2, FOREVER, RUNS_AT_ONCE)
    answers = [ask(batcher.answer, number % 2, number) for number in range(4)]
    assert [answer.result(PATIENCE) for answer in answers] == [0, 1, 4, 9]
    assert sorted(map(sorted, squares.runs)) == [[0, 2], [1, 3]]


def test_one_bad_item_fails_alone(ask: Callable[..., Future[int]]) -> None:
    squares = Squares()
    batcher = Batcher(squares, 3, FOREVER, RUNS_AT_ONCE)
    good, bad, other = (ask(batcher.answer, "kind", number) for number in (2, -1, 3))
    assert (good.result(PATIENCE), other.result(PATIENCE)) == (4, 9)
    with pytest.raises(ValueError, match="-1 is below zero"):
        bad.result(PATIENCE)
    assert [len(run) for run in squares.runs] == [3, 1, 1, 1]


def test_whose_caller_has_gone_does_not_run(ask: Callable[..., Future[int]]) -> None:
    squares, stop = Squares(), Stop()
    batcher = Batcher(squares, 2, FOREVER, RUNS_AT_ONCE)
    gone = ask(batcher.answer, "kind", 1, stop)
    wait_for_members(batcher, 1)
    stop.ask()
    stays = ask(batcher.answer, "kind", 2)
    assert stays.result(PATIENCE) == 4
    with pytest.raises(StoppedError):
        gone.result(PATIENCE)
    assert squares.runs == [[2]]


def test_a_run_ends_when_the_last_of_its_callers_has_gone(ask: Callable[..., Future[int]]) -> None:
    squares = Squares(waits=True)
    batcher = Batcher(squares, 2, FOREVER, RUNS_AT_ONCE)
    stops = [Stop(), Stop()]
    answers = [ask(batcher.answer, "kind", number, stop) for number, stop in enumerate(stops)]
    squares.wait_for_runs(1)
    stops[0].ask()
    assert not squares.go.is_set()  # the other still waits
    stops[1].ask()
    for answer in answers:
        with pytest.raises(StoppedError):
            answer.result(PATIENCE)


def test_the_others_do_not_wait_for_a_thread_that_was_interrupted(ask: Callable[..., Future[int]]) -> None:
    def interrupted(_: Sequence[int], __: Stop) -> list[int]:
        raise KeyboardInterrupt

    batcher = Batcher(interrupted, 2, FOREVER, RUNS_AT_ONCE)
    answers = [ask(batcher.answer, "kind", number) for number in range(2)]
    errors = [answer.exception(PATIENCE) for answer in answers]
    assert sorted(type(error).__name__ for error in errors) == ["KeyboardInterrupt", "StoppedError"]


@pytest.mark.parametrize(
    ("settings", "sizes"),
    [
        ({"max_batch_size": 1}, (1,)),
        ({"max_batch_size": 8}, (1, 2, 4, 8)),
        ({"max_batch_size": 6}, (1, 2, 4, 6)),
        ({"max_batch_size": 8, "buckets": (4, 2)}, (2, 4, 8)),
    ],
)
def test_sizes_of_batches(settings, sizes) -> None:
    assert Batching(**settings).sizes == sizes


@pytest.mark.parametrize(
    "settings",
    [
        {"max_batch_size": 0},
        {"max_batch_size": 4, "max_queue_delay": -1.0},
        {"max_batch_size": 4, "buckets": (0,)},
        {"max_batch_size": 4, "buckets": (8,)},
    ],
)
def test_sizes_that_cannot_be(settings) -> None:
    with pytest.raises(UsageError, match="must be"):
        Batching(**settings)
