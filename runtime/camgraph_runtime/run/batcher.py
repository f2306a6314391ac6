"""Puts what several threads want to run at the same time into batches.

There is no thread of its own: who comes first runs the batch for all. So nothing has to be started or closed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import CancelledError, Future
from typing import Generic, TypeVar

from camgraph_runtime.run.stop import Stop, StoppedError

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batcher(Generic[Item, Answer]):
    """Runs items of one kind together.

    A batch takes items until it is full, or until its first item has waited for `max_queue_delay` and one of
    ``runs_at_once`` runs is free. Items whose callers have gone by then are left out. If a batch fails, its items run
    one by one, so that each gets its own answer or its own error. A run ends when all its callers have gone.

    Args:
        run: Gives an answer for each item, in their order; ends with `StoppedError` if its `Stop` asks.
        max_batch_size: Most items of one run.
        max_queue_delay: Seconds that the first item of a batch waits for others.
        runs_at_once: Most batches that run at the same time.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item], Stop], Sequence[Answer]],
        max_batch_size: int,
        max_queue_delay: float,
        runs_at_once: int,
    ) -> None:
        self._run = run
        self._size = max_batch_size
        self._delay = max_queue_delay
        self._open: dict[Hashable, _Batch[Item, Answer]] = {}
        self._lock = threading.Lock()
        self._runs = threading.Semaphore(runs_at_once)

    def answer(self, kind: Hashable, item: Item, stop: Stop | None = None) -> Answer:
        """Waits for the answer of one item, which may run with others of its kind.

        Raises:
            StoppedError: ``stop`` ended the waiting or the run.
        """
        member: _Member[Item, Answer] = _Member(item, stop or Stop())
        with member.stop.ending(member.leave):
            batch, leads = self._join(kind, member)
            if leads:
                self._lead(kind, batch)
            return member.wait()

    def _join(self, kind: Hashable, member: _Member[Item, Answer]) -> tuple[_Batch[Item, Answer], bool]:
        """The batch that takes the member, and whether the member is its first."""
        with self._lock:
            batch = self._open.setdefault(kind, _Batch())
            batch.members.append(member)
            member.batch = batch
            if len(batch.members) == self._size:
                del self._open[kind]
                batch.is_full.set()
            return batch, len(batch.members) == 1

    def _lead(self, kind: Hashable, batch: _Batch[Item, Answer]) -> None:
        try:
            batch.is_full.wait(self._delay)
            with self._runs:  # while none is free, the batch goes on taking items
                self._close(kind, batch)
                batch.running = [member for member in batch.members if member.future.set_running_or_notify_cancel()]
                self._run_batch(batch)
        except BaseException:  # this thread is interrupted; the others must not wait for ever
            self._close(kind, batch)
            batch.abandon()
            raise

    def _close(self, kind: Hashable, batch: _Batch[Item, Answer]) -> None:
        with self._lock:
            if self._open.get(kind) is batch:
                del self._open[kind]

    def _run_batch(self, batch: _Batch[Item, Answer]) -> None:
        if len(batch.running) > 1 and self._run_together(batch):
            return
        for member in batch.running:
            self._run_alone(member)

    def _run_together(self, batch: _Batch[Item, Answer]) -> bool:
        batch.end_if_unwanted()  # those that left before the run could not end it
        try:
            answers = self._run([member.item for member in batch.running], batch.stop)
        except Exception:  # whichever item it was: each is tried by itself
            return False
        for member, answer in zip(batch.running, answers, strict=True):
            member.future.set_result(answer)
        return True

    def _run_alone(self, member: _Member[Item, Answer]) -> None:
        try:
            [answer] = self._run([member.item], member.stop)
        except Exception as error:  # whatever it is, the caller hears of it
            member.future.set_exception(error)
        else:
            member.future.set_result(answer)


class _Batch(Generic[Item, Answer]):
    """Items that run together; `stop` ends their run."""

    def __init__(self) -> None:
        self.members: list[_Member[Item, Answer]] = []
        self.running: list[_Member[Item, Answer]] = []
        self.is_full = threading.Event()
        self.stop = Stop()

    def end_if_unwanted(self) -> None:
        """Ends the run if nobody waits for any of its answers."""
        if self.running and all(member.stop.asked for member in self.running):
            self.stop.ask()

    def abandon(self) -> None:
        """Ends the waiting of all members that have no answer yet."""
        for member in self.members:
            if not member.future.done() and not member.future.cancel():
                member.future.set_exception(StoppedError("The thread that ran the batch was interrupted."))


class _Member(Generic[Item, Answer]):
    """One item and who waits for it."""

    def __init__(self, item: Item, stop: Stop) -> None:
        self.item, self.stop = item, stop
        self.future: Future[Answer] = Future()
        self.batch: _Batch[Item, Answer] | None = None

    def leave(self) -> None:
        """Takes the item out of a batch that does not run yet; of one that runs, the last to leave ends it."""
        self.future.cancel()
        if self.batch is not None:
            self.batch.end_if_unwanted()

    def wait(self) -> Answer:
        """The answer, when it is there."""
        try:
            return self.future.result()
        except CancelledError:
            raise StoppedError("The work was ended, as nobody waits for its result.") from None
