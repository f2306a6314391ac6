"""Has all workers change their models together, and remembers for later ones what calls have unloaded.

A change has two steps. First every worker finds out what it could do: it loads a model beside the one that serves.
When all have told what they found, it is decided for all of them alike, and each does it. So a version that one worker
cannot load serves in none.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Iterable
from typing import Generic, TypeVar

from camgraph_server.processes.life import WorkerLife
from camgraph_server.processes.messages import (
    RELOAD,
    UNLOAD,
    Answer,
    Asks,
    Change,
    Found,
    Settled,
    Unloaded,
    Verdict,
)

_MOST_WAITING = 100
_SETTLING = 30.0
"""Seconds that workers get to do what was decided, which takes no loading."""

Report = TypeVar("Report", Found, Settled)


class Together:
    """The changes that calls ask for, one after the other.

    Args:
        patience: Seconds that workers get to find out what they could do.
    """

    def __init__(self, patience: float) -> None:
        self.unloaded: frozenset[str] = frozenset()
        """Versions that calls have unloaded and not loaded again."""
        self._patience = patience
        self._members: set[WorkerLife] = set()
        self._joining: set[WorkerLife] = set()
        self._round: _Round[Found] | _Round[Settled] | None = None
        self._numbers = itertools.count()
        self._waiting = 0
        self._one_by_one = asyncio.Lock()

    async def join(self, worker: WorkerLife) -> None:
        """Tells a worker what is unloaded, and has it take part in the changes after that, unless it leaves before."""
        self._joining.add(worker)
        async with self._one_by_one:
            if worker in self._joining:
                self._joining.discard(worker)
                self._members.add(worker)
                worker.tell(Unloaded(sorted(self.unloaded)))

    def leave(self, worker: WorkerLife) -> None:
        """Waits for a worker no more."""
        self._joining.discard(worker)
        self._members.discard(worker)
        if self._round is not None:
            self._round.leave(worker)

    def hear(self, worker: WorkerLife, report: Found | Settled) -> None:
        """Takes what a worker says of a change. What comes too late counts no more."""
        if self._round is not None:
            self._round.hear(worker, report)

    async def change(self, asker: WorkerLife, asks: Asks) -> None:
        """Has all workers make a change, and answers who asked."""
        if self._waiting >= _MOST_WAITING:
            asker.tell(Answer(asks.asked, f"{_MOST_WAITING} changes of models wait already; try again later."))
            return
        self._waiting += 1
        try:
            async with self._one_by_one:
                problem = await self._carry_out(asker, asks)
        finally:
            self._waiting -= 1
        asker.tell(Answer(asks.asked, problem))

    async def _carry_out(self, asker: WorkerLife, asks: Asks) -> str:
        """Makes one change. Returns why nobody can say that it is made everywhere; empty otherwise."""
        if asker not in self._members:
            return "The process that was asked still loads its models, or stops; send the call again."
        workers, number = set(self._members), next(self._numbers)
        for worker in workers:
            asked = asks.asked if worker is asker else None
            worker.tell(Change(number, asks.kind, asks.name, asks.version, asked))
        if asks.kind == RELOAD:
            return await self._settled(number, workers, self._patience)
        found = _Round(number, Found, workers)
        await self._complete(found, self._patience)
        verdict = found_by_all(number, asks.kind, found.reports, self._lateness(found))
        self._remember(asks.kind, verdict)
        for worker in workers:
            worker.tell(verdict)
        if asks.kind == UNLOAD:
            return await self._settled(number, workers & self._members, _SETTLING)
        # Who is late loads nothing: its turn ends with the verdict, which it finds when it gets there.
        not_settled = await self._settled(number, workers & self._members - found.missing, _SETTLING)
        return verdict.problem if asker in found.missing else not_settled

    async def _settled(self, number: int, workers: set[WorkerLife], patience: float) -> str:
        settled = _Round(number, Settled, workers)
        await self._complete(settled, patience)
        if not settled.missing:
            return ""
        return (
            f"{len(settled.missing)} of {len(workers)} processes have not followed yet, as they are still busy with "
            "other models; they follow after that."
        )

    async def _complete(self, gathering: _Round[Found] | _Round[Settled], patience: float) -> None:
        self._round = gathering
        await gathering.complete(patience)
        self._round = None

    def _lateness(self, found: _Round[Found]) -> str:
        missing, of = len(found.missing), len(found.missing) + len(found.reports)
        return f"{missing} of {of} processes did not load it within {self._patience:g} s." if missing else ""

    def _remember(self, kind: str, verdict: Verdict) -> None:
        if kind == UNLOAD:
            self.unloaded |= verdict.reasons.keys()
        elif not verdict.problem:
            self.unloaded -= {version for version, reason in verdict.reasons.items() if not reason}


def found_by_all(number: int, kind: str, reports: Iterable[Found], lateness: str) -> Verdict:
    """What is to become of a change.

    Args:
        number: The change.
        kind: What it is.
        reports: What workers found.
        lateness: What is wrong with those that told nothing in time; empty if all did.
    """
    reports = list(reports)
    reasons = {version: "" for report in reports for version in report.reasons}
    if kind == UNLOAD:  # also by those who do not know the version yet, or are late
        return Verdict(number, reasons)
    for version in reasons:
        told = (report.reasons.get(version, "Not every process finds its files.") for report in reports)
        reasons[version] = next(filter(None, told), "")
    return Verdict(number, reasons, next(filter(None, (report.problem for report in reports)), lateness))


class _Round(Generic[Report]):
    """One report of each worker.

    Args:
        number: The change.
        kind: What kind of report.
        workers: Who reports.

    Attributes:
        missing: Who has not reported yet.
        reports: What the others said.
    """

    def __init__(self, number: int, kind: type[Report], workers: set[WorkerLife]) -> None:
        self._number = number
        self._kind: type[Report] = kind
        self.missing = set(workers)
        self.reports: list[Report] = []
        self._changed = asyncio.Event()

    def hear(self, worker: WorkerLife, report: Found | Settled) -> None:
        if isinstance(report, self._kind) and report.number == self._number and worker in self.missing:
            self.reports.append(report)
            self.leave(worker)

    def leave(self, worker: WorkerLife) -> None:
        self.missing.discard(worker)
        self._changed.set()

    async def complete(self, patience: float) -> None:
        """Waits until nobody is missing, or for that many seconds."""
        with contextlib.suppress(TimeoutError):  # who is missing then stays so
            async with asyncio.timeout(patience):
                while self.missing:
                    await self._changed.wait()
                    self._changed.clear()
