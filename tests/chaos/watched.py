"""A server that is watched while something attacks it: its health, its memory, and the calls of somebody honest."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from support.serving import server_process, write_model

MIB = 1024 * 1024
LIMIT_MIB = 2048
"""Memory that the server may take, as in its container."""

_OPTIONS = (
    "--max-memory-mib",
    str(LIMIT_MIB // 2),
    "--reload-interval",
    "0.2",
    "--workers",
    "2",
    "--http",
    "127.0.0.1:0",
)
_LONGEST = 120.0  # seconds that an attack may take
_AFTER = 0.3  # seconds that are watched when an attack is over


@dataclass
class Target:
    """The server that is attacked.

    Attributes:
        address: Where it listens.
        http_address: Where it listens for HTTP.
        pid: Its process.
        repository: Its models.
        audit: Its audit log.
    """

    address: str
    http_address: str
    pid: int
    repository: Path
    audit: Path

    def peak_mib(self) -> float:
        """Most memory since the last `forget_peak`."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

    def forget_peak(self) -> None:
        """Counts the peak from now on."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5", encoding="ascii")

    @contextlib.contextmanager
    def limited(self, which: int, most: int) -> Iterator[None]:
        """Sets a limit of the process, and lifts it again."""
        before = resource.prlimit(self.pid, which)
        resource.prlimit(self.pid, which, (most, before[1]))
        try:
            yield
        finally:
            resource.prlimit(self.pid, which, before)


Attack = Callable[[Target, float], Awaitable[None]]
"""Attacks a server; the number is the size of the attack, 1 for a whole one."""


@dataclass
class Report:
    """What was seen during one attack.

    Attributes:
        attack: Its name.
        checks: Health checks that were answered.
        slowest: Seconds that the slowest of them took.
        calls: Calls of the honest caller that were answered.
        failures: What else came, and whether the process has gone.
        peak_mib: Most memory.
    """

    attack: str
    checks: int = 0
    slowest: float = 0.0
    calls: int = 0
    failures: list[str] = field(default_factory=list)
    peak_mib: float = 0.0

    def problems(self, *, most_mib: float = 1536, slowest: float = math.inf) -> list[str]:
        """What must not be."""
        found = list(self.failures)
        if not self.checks or not self.calls:
            found.append("nobody was answered")
        if self.slowest > slowest:
            found.append(f"health took {self.slowest:.2f} s")
        if self.peak_mib > most_mib:
            found.append(f"memory rose to {self.peak_mib:.0f} MiB")
        return found

    def __str__(self) -> str:
        return (
            f"{self.attack:24} {self.peak_mib:6.0f} MiB  {self.checks:5} checks, slowest {self.slowest:5.2f} s  "
            f"{self.calls:5} calls  {'; '.join(self.failures[:2]) or 'well'}"
        )


@contextlib.asynccontextmanager
async def target(folder: Path) -> AsyncIterator[Target]:
    """A server process with the limit on its memory, whose log nobody reads."""
    repository, audit = folder / "models", folder / "audit.jsonl"
    write_model(repository)
    with server_process(repository, *_OPTIONS, "--audit-log", str(audit)) as process:
        found = Target(process.address, process.http_address, process.process.pid, repository, audit)
        with found.limited(resource.RLIMIT_DATA, LIMIT_MIB * MIB):
            yield found
        if process.process.poll() is not None:
            raise AssertionError(f"the server ended with {process.process.returncode}")


async def watched(name: str, attack: Attack, server: Target, bystander: Bystander, size: float) -> Report:
    """Attacks a server, and watches it meanwhile."""
    report = Report(name)
    server.forget_peak()
    async with bystander.watching(report):
        try:
            async with asyncio.timeout(_LONGEST):
                await attack(server, size)
        except TimeoutError:
            report.failures.append(f"the attack did not end within {_LONGEST:.0f} s")
        await asyncio.sleep(_AFTER)
    try:
        report.peak_mib = server.peak_mib()
    except OSError:
        report.failures.append("the process has gone")
    return report


@dataclass
class Bystander:
    """A process that checks health and makes calls while something attacks."""

    _process: asyncio.subprocess.Process

    @contextlib.asynccontextmanager
    async def watching(self, report: Report) -> AsyncIterator[None]:
        """Begins when it has been answered once; its report is filled in at the end."""
        await self._told()
        try:
            yield
        finally:
            seen = json.loads(await self._told())
            report.failures += seen.pop("failures")
            for name, value in seen.items():
                setattr(report, name, value)

    async def _told(self) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        return await self._process.stdout.readline()


@contextlib.asynccontextmanager
async def bystander(address: str) -> AsyncIterator[Bystander]:
    """One process for all attacks, as it takes longer to start than most of them."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chaos.bystander", address),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        yield Bystander(process)
    finally:
        await process.communicate(b"")
