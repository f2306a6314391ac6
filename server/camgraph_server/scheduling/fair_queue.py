"""Jobs that wait, of several clients: whoever sends many waits for its own, and does not hold up the others."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

_MOST_REMEMBERED = 1000  # clients


class Sent(Protocol):
    """What a client sent."""

    client: str


J = TypeVar("J", bound=Sent)


class FairQueue(Generic[J]):
    """Gives the jobs of each client in their order, and among clients those of the one that was worked for least.

    What is counted is the time that workers spend: a client with few large jobs gets no more of it than one with many
    small ones, and who was away has nothing to catch up on ("start-time fair queueing", Goyal, Vin and Cheng 1997).
    Not safe to use from several threads at once.
    """

    def __init__(self) -> None:
        self._jobs: dict[str, deque[J]] = {}  # of clients that wait; who was served last stands last
        self._spent: dict[str, float] = {}  # seconds, on a scale on which they begin with `_level`
        self._level = 0.0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[J]:
        for jobs in self._jobs.values():
            yield from jobs

    def waiting_of(self, client: str) -> int:
        """Number of jobs of a client."""
        return len(self._jobs.get(client, ()))

    def ahead_of(self, client: str) -> int:
        """Number of jobs that would come before a further one of this client, if all take the same time."""
        own = self.waiting_of(client)
        return own + sum(min(len(jobs), own + 1) for name, jobs in self._jobs.items() if name != client)

    def add(self, job: J) -> None:
        """Adds a job after those of its client."""
        if job.client not in self._jobs:
            self._jobs[job.client] = deque()
            self._spent[job.client] = max(self._spent.get(job.client, 0.0), self._level)
        self._jobs[job.client].append(job)
        self._count += 1

    def take(self, cost: float) -> J:
        """Removes the job that is next.

        Args:
            cost: Seconds that it will probably take.

        Raises:
            IndexError: There is none.
        """
        if not self._jobs:
            raise IndexError("no job waits")
        client = min(self._jobs, key=self._spent.__getitem__)
        self._level = max(self._level, self._spent[client])
        jobs = self._jobs.pop(client)
        job = jobs.popleft()
        self._count -= 1
        if jobs:
            self._jobs[client] = jobs
        self.charge(client, cost)
        self._forget()
        return job

    def charge(self, client: str, seconds: float) -> None:
        """Counts time that was spent on a client, or gives back what was counted too much."""
        if client in self._spent:
            self._spent[client] += seconds

    def remove(self, job: J) -> bool:
        """Removes a job; False if it does not wait any more."""
        jobs = self._jobs.get(job.client)
        if jobs is None or job not in jobs:
            return False
        jobs.remove(job)
        self._count -= 1
        if not jobs:
            del self._jobs[job.client]
        return True

    def greediest(self, than: str) -> J | None:
        """The newest job of the client with the most, if that has more than another would have with one more."""
        if not self._jobs:
            return None
        most = max(self._jobs.values(), key=len)
        return most[-1] if len(most) > self.waiting_of(than) + 1 else None

    def _forget(self) -> None:
        """Forgets clients to whom the same happens as to new ones; if they are still too many, all that do not wait."""
        if len(self._spent) <= _MOST_REMEMBERED:
            return
        for client in [name for name, spent in self._spent.items() if spent <= self._level]:
            if client not in self._jobs:
                del self._spent[client]
        if len(self._spent) > _MOST_REMEMBERED:
            self._spent = {name: self._spent[name] for name in self._jobs}
