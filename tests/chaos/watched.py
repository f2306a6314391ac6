"""A server that is watched while something attacks it: its health, its memory, and the calls of somebody honest."""

from __future__ import annotations

import asyncio
import contextlib
import math
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_client.channel import Connection
from chaos.herd import OWN_CONNECTION
from support.serving import PATIENCE, png, server_process, write_model

MIB = 1024 * 1024
LIMIT_MIB = 2048
"""Memory that the server may take, as in its container."""

_OPTIONS = ("--max-memory-mib", str(LIMIT_MIB // 2), "--reload-interval", "0.2", "--workers", "2")
_BETWEEN_CHECKS = 0.05  # seconds
_BETWEEN_CALLS = 0.1


@dataclass
class Target:
    """The server that is attacked.

    Attributes:
        address: Where it listens.
        pid: Its process.
        repository: Its models.
    """

    address: str
    pid: int
    repository: Path

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
    write_model(folder)
    with server_process(folder, *_OPTIONS) as process:
        found = Target(process.address, process.process.pid, folder)
        with found.limited(resource.RLIMIT_DATA, LIMIT_MIB * MIB):
            yield found
        if process.process.poll() is not None:
            raise AssertionError(f"the server ended with {process.process.returncode}")


async def watched(name: str, attack: Attack, server: Target, size: float) -> Report:
    """Attacks a server, and watches it meanwhile."""
    report = Report(name)
    server.forget_peak()
    is_over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(_check_health(server.address, report, is_over))
        group.create_task(_call(server.address, report, is_over))
        try:
            await attack(server, size)
        finally:
            await asyncio.sleep(0.3)
            is_over.set()
    try:
        report.peak_mib = server.peak_mib()
    except OSError:
        report.failures.append("the process has gone")
    return report


async def _check_health(address: str, report: Report, is_over: asyncio.Event) -> None:
    async with grpc.aio.insecure_channel(address, OWN_CONNECTION) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        while not is_over.is_set():
            began = time.monotonic()
            try:
                await health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
                report.checks += 1
            except grpc.RpcError as error:
                report.failures.append(f"health: {error.code().name}")
            report.slowest = max(report.slowest, time.monotonic() - began)
            await asyncio.sleep(_BETWEEN_CHECKS)


async def _call(address: str, report: Report, is_over: asyncio.Event) -> None:
    """Somebody honest, with the retry policy of camgraph's client."""
    small = pb.ExplainRequest(model_name="tiny", image=pb.EncodedImage(data=png()), outputs=[pb.OUTPUT_KIND_RAW_MAP])
    options = [*Connection(address).options(), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options) as channel:
        stub = ExplanationServiceStub(channel)
        while not is_over.is_set():
            try:
                await stub.Explain(small, timeout=PATIENCE)
                report.calls += 1
            except grpc.RpcError as error:
                report.failures.append(f"{error.code().name}: {error.details()}"[:80])
            await asyncio.sleep(_BETWEEN_CALLS)
