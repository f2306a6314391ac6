"""What is left of a server's peak when several times as much is asked, with and without deadlines.

    python benchmarks/overload.py --seconds 20

The servers have one core and their callers have the others: so what callers cost is not taken for a server's. Calls
come at even times at some times the peak, from two processes, whatever becomes of those before. The peak is measured
before and after that, as the speed of a machine changes: "share" is the calls answered per second over the mean of the
two. A call that is refused is not sent again. Beside `camgraph serve` stands a server that has nothing but grpc.aio and
the same work (grpc_alone.py): a server on grpc.aio can hardly keep more. They take turns, and each figure is the
median of the rounds. A refusal costs what the rest of the peak would have taken, divided by the calls refused.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import click
import grpc.aio
from paired import EXAMPLE_MODEL, ROOT, camgraph, environment
from throughput import Cores, started

from camgraph_core.request import Addressed, Request
from camgraph_wire.requests import request_message

_PHOTO = ROOT / "examples" / "photos" / "rocket.jpg"
_CALL = "/camgraph.v1.ExplanationService/Explain"
_PROCESSES = 2  # that send calls
_CALLERS = 8  # that suffice for the peak
_PLACES = 8  # of the bare server: calls that wait no longer than a second
_LATE = 60.0  # seconds, where a call has no deadline


@dataclass(frozen=True)
class Ended:
    """What became of a call.

    Attributes:
        status: Name of its status.
        seconds: From when it was sent.
        in_time: Whether it ended before the last call was sent.
    """

    status: str
    seconds: float
    in_time: bool


async def peak(address: str, data: bytes, callers: int, seconds: float) -> float:
    """Calls per second of callers of whom each waits for its answer."""
    done, end = 0, time.perf_counter() + seconds

    async def caller(call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]) -> None:
        nonlocal done
        while time.perf_counter() < end:
            await call(data)
            done += 1

    async with grpc.aio.insecure_channel(address) as channel:
        await asyncio.gather(*(caller(channel.unary_unary(_CALL)) for _ in range(callers)))
    return done / seconds


async def open_loop(address: str, data: bytes, rate: float, seconds: float, deadline: float | None) -> list[Ended]:
    """Sends calls at even times, and waits for their ends."""
    ended: list[Ended] = []
    sent: set[asyncio.Task[None]] = set()
    end = time.perf_counter() + seconds

    async def one(call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]) -> None:
        began, status = time.perf_counter(), "OK"
        try:
            await call(data, timeout=deadline or _LATE)
        except grpc.aio.AioRpcError as error:
            status = error.code().name
        now = time.perf_counter()
        ended.append(Ended(status, now - began, now < end))

    async with grpc.aio.insecure_channel(address, [("grpc.enable_retries", 0)]) as channel:
        began, number = time.perf_counter(), 0
        while (now := time.perf_counter()) < end:
            for _ in range(number, int((now - began) * rate)):
                task = asyncio.create_task(one(channel.unary_unary(_CALL)))
                sent.add(task)
                task.add_done_callback(sent.discard)
                number += 1
            await asyncio.sleep(0.002)
        await asyncio.gather(*sent)
    return ended


def sent_from_process(address: str, data: bytes, rate: float, seconds: float, deadline: float | None) -> list[Ended]:
    """As `open_loop`, in a process of its own."""
    return asyncio.run(open_loop(address, data, rate, seconds, deadline))


def overloaded(address: str, data: bytes, rate: float, seconds: float, deadline: float | None) -> list[Ended]:
    """Sends calls from several processes."""
    asked = (address, data, rate / _PROCESSES, seconds, deadline)
    with multiprocessing.get_context("spawn").Pool(_PROCESSES) as pool:
        pool.starmap(sent_from_process, [(address, data, 1.0, 1.0, deadline)] * _PROCESSES)  # they have started then
        return [one for part in pool.starmap(sent_from_process, [asked] * _PROCESSES) for one in part]


@dataclass(frozen=True)
class Measured:
    """What one server did in one round.

    Attributes:
        peak: Calls per second, the mean of before and after.
        answered: Calls per second that were answered under overload.
        refused: Calls per second that were refused.
        waits: Seconds after which they were, in order.
        others: How many calls had another end, by status.
    """

    peak: float
    answered: float
    refused: float
    waits: list[float]
    others: Counter[str]

    @property
    def share(self) -> float:
        """Of the peak, what is left."""
        return self.answered / self.peak

    @property
    def cost_ms(self) -> float:
        """Of a refusal."""
        return (1 - self.share) / self.refused * 1e3 if self.refused else float("nan")


def measure(address: str, data: bytes, times: int, deadline: float | None, seconds: float) -> Measured:
    """Measures the peak, the overload, and the peak again."""
    before = asyncio.run(peak(address, data, _CALLERS, seconds / 3))
    ended = overloaded(address, data, times * before, seconds, deadline)
    after = asyncio.run(peak(address, data, _CALLERS, seconds / 3))
    waits = sorted(one.seconds for one in ended if one.status == "UNAVAILABLE")
    return Measured(
        (before + after) / 2,
        sum(one.status == "OK" and one.in_time for one in ended) / seconds,
        len(waits) / seconds,
        waits,
        Counter(one.status for one in ended if one.status not in ("OK", "UNAVAILABLE")),
    )


def row(name: str, times: int, deadline: float | None, rounds: list[Measured]) -> str:
    """One row of the table."""
    middle = {
        field: statistics.median(getattr(one, field) for one in rounds)
        for field in ("peak", "answered", "share", "cost_ms")
    }
    shares = [one.share for one in rounds]
    waits = sorted(wait * 1e3 for one in rounds for wait in one.waits)
    after = f"{statistics.median(waits):.0f} | {waits[len(waits) * 99 // 100]:.0f}" if waits else "- | -"
    others = sum((one.others for one in rounds), Counter[str]())
    return (
        f"| {name} | {times} | {'-' if deadline is None else f'{deadline:g} s'} | {middle['peak']:.1f} | "
        f"{middle['answered']:.1f} | {middle['share']:.2f} ({min(shares):.2f}-{max(shares):.2f}) | "
        f"{middle['cost_ms']:.2f} | {after} | {dict(others) or '-'} |"
    )


@click.command(help=__doc__.partition("\n")[0])
@click.option("--graph", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="An explainable graph.")
@click.option("--times", multiple=True, type=click.IntRange(2), default=(3, 5), show_default=True)
@click.option("--seconds", type=click.FloatRange(2), default=15.0, show_default=True, help="Of each overload.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
def main(graph: Path | None, times: tuple[int, ...], seconds: float, rounds: int) -> None:
    """Prints a Markdown table."""
    cores = Cores.split(1)
    if cores.client == cores.sides:
        raise click.ClickException("It takes two cores: one for the server, one for its callers.")
    asked = Addressed(request=Request(outputs=["raw-map"]), image=_PHOTO.read_bytes())
    data = request_message(asked).SerializeToString()
    python = Path(sys.executable)
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        models.mkdir()
        served = models / EXAMPLE_MODEL.name
        if graph is None:
            camgraph("export", str(EXAMPLE_MODEL), "-o", str(served))
        else:
            served.symlink_to(graph.resolve())
        listens = ["--listen", "127.0.0.1:0", "--allow-uncertified"]
        servers = {
            "grpc.aio alone": [
                str(python), str(ROOT / "benchmarks" / "grpc_alone.py"), str(served), str(_PLACES), "cpu"
            ],
            "camgraph serve": [
                str(python.with_name("camgraph")), "serve", "--model-repository", str(models), *listens
            ],
        }  # fmt: skip  # a command in one row
        click.echo(f"{environment(1)}, one core for the servers; {rounds} rounds of {seconds:g} s\n")
        columns = "server", "times the peak", "deadline", "peak/s", "answered/s", "share (min-max)", "ms per refusal"
        click.echo(f"| {' | '.join(columns)} | refused after ms, median | p99 | others |")
        click.echo("|---|---:|---:|---:|---:|---:|---:|---:|---:|---|")
        with ExitStack() as stack:
            addresses = {name: stack.enter_context(started(command, cores))[0] for name, command in servers.items()}
            for address in addresses.values():
                asyncio.run(peak(address, data, _CALLERS, 3))
            for number, deadline in itertools.product(times, (None, 1.0)):
                found: dict[str, list[Measured]] = {name: [] for name in addresses}
                for turn in range(rounds):
                    for name in list(addresses)[:: -1 if turn % 2 else 1]:
                        found[name].append(measure(addresses[name], data, number, deadline, seconds))
                for name, measured in found.items():
                    click.echo(row(name, number, deadline, measured))


if __name__ == "__main__":
    main()
