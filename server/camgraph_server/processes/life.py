"""One worker process, as its supervisor sees it: started, ready, ended."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import signal
import sys
import time
from collections.abc import AsyncIterator, Collection

from camgraph_core.errors import CamgraphError
from camgraph_server.config import ServerConfig
from camgraph_server.processes.messages import CannotStart, Message, Ready, line_of, message_of

_MAIN = "from camgraph_server.processes.worker import main; main()"
_LONGEST_LINE = 16 * 1024 * 1024  # bytes of a message: a model may have many versions


class WorkerLife:
    """A worker process from its start to its end.

    Attributes:
        served: Seconds that it has been ready; None if it never was.
        problem: Why it could not start, in its own words.
        metrics_address: Where it tells its metrics, once it is ready, if it does.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._ready_since: float | None = None
        self.served: float | None = None
        self.problem: CamgraphError | None = None
        self.metrics_address: str | None = None

    @classmethod
    async def begin(cls, config: ServerConfig, unloaded: Collection[str] = ()) -> WorkerLife:
        """Starts a process that serves with these settings, without the versions of models that calls have unloaded."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _MAIN,
            stdin=asyncio.subprocess.PIPE,  # its end tells the worker that its supervisor has gone
            stdout=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
            start_new_session=True,  # Ctrl-C in a terminal is for the supervisor, which tells it to the others
        )
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended already
            process.stdin.write(pickle.dumps((config, sorted(unloaded))))
            await process.stdin.drain()
        return cls(process)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def is_ready(self) -> bool:
        """Whether it answers calls."""
        return self._ready_since is not None and self._process.returncode is None

    @property
    def drained(self) -> bool:
        """After its end: whether it answered all that it had accepted."""
        return self._process.returncode == 0 or self._ready_since is None

    @property
    def how_it_ended(self) -> str:
        """Its exit code, or the signal that ended it."""
        code = self._process.returncode or 0
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    async def messages(self) -> AsyncIterator[Message]:
        """What it says, until its end; that it is ready, or why it cannot start, is noted here."""
        assert self._process.stdout is not None
        # One that is killed while it writes leaves a line without an end.
        while (line := await self._process.stdout.readline()).endswith(b"\n"):
            message = message_of(line)
            match message:
                case Ready(metrics):
                    self.metrics_address = metrics
                    self._ready_since = time.monotonic()
                case CannotStart(problem, exit_code):
                    self.problem = CamgraphError(problem)
                    self.problem.exit_code = exit_code
            yield message

    def tell(self, message: Message) -> None:
        """Sends it a message, unless it has ended."""
        assert self._process.stdin is not None
        if self._process.returncode is None and not self._process.stdin.is_closing():
            self._process.stdin.write(line_of(message))

    async def end(self) -> None:
        """Waits for its end."""
        await self._process.wait()
        if self._ready_since is not None:
            self.served = time.monotonic() - self._ready_since

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal, unless it has ended."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                self._process.send_signal(number)
