"""What a server costs beside the same work in one process: in pairs, for one caller and for several.

    python benchmarks/throughput.py --rounds 8

Kinds of work: a photo for its raw maps, a photo for an overlay (JPEG), and a ready tensor for its raw maps. In one
process the same explainer does the same work with as many threads as the server has workers; of tensors it is a bare
loop over the session, without any camgraph. A round does both, one after the other, in an order that changes. "Share"
is the calls of the server per second over those in one process, by the clock and by the CPU time of the server's
process alone: the clock also has the client, unless `--cores` leaves it cores of its own. "Added" is what one call
takes longer with the server, at the median of all calls. CPU time is read from /proc, on Linux. Beside `camgraph serve`
stands a server that has nothing but grpc.aio and the same explainer (grpc_alone.py): a server on grpc.aio can hardly
come nearer.
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import grpc.aio
import numpy as np
from paired import ROOT, camgraph, environment, place

from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_core.request import Addressed, Request
from camgraph_runtime import Explainer
from camgraph_runtime.run.providers import Device
from camgraph_runtime.run.threads import Threads
from camgraph_wire.requests import request_message

_MODEL = ROOT / "examples" / "models" / "efficientnet_lite0.onnx"
_PHOTO = ROOT / "examples" / "photos" / "rocket.jpg"
_TICK = os.sysconf("SC_CLK_TCK")
_HERE = "here"
_PLACES = 1000  # of grpc.aio alone: it refuses nothing


@dataclass(frozen=True)
class Cores:
    """The cores of each side, and those of the client."""

    sides: frozenset[int]
    client: frozenset[int]

    @classmethod
    def split(cls, count: int) -> Cores:
        """So many cores for each side, and the others for the client; all for both where none are left or asked for."""
        cores = sorted(os.sched_getaffinity(0))
        if not 0 < count < len(cores):
            return cls(frozenset(cores), frozenset(cores))
        return cls(frozenset(cores[:count]), frozenset(cores[count:]))

    @contextmanager
    def of_a_side(self) -> Iterator[None]:
        """Within it, this thread and the processes that it starts have the cores of a side."""
        os.sched_setaffinity(0, self.sides)
        try:
            yield
        finally:
            os.sched_setaffinity(0, self.client)


@dataclass(frozen=True)
class Work:
    """One kind of work: what a server is asked, and the same in this process."""

    name: str
    asked: Addressed
    here: Callable[[], object]


@dataclass(frozen=True)
class Side:
    """One side of a round: seconds by the clock, seconds of CPU time, and the times of its calls in seconds."""

    wall: float
    cpu: float
    calls: list[float]


def works(explainer: Explainer) -> list[Work]:
    """The kinds of work."""
    photo = _PHOTO.read_bytes()
    tensor = explainer.prepare(photo).tensor

    def explained(output: str) -> Callable[[], object]:
        return lambda: explainer.explain(photo).explanations[0].output(output)

    plan = explainer.plan(Request(), has_photo=False)
    session, names = explainer.engine._session, list(plan.outputs)
    assert session is not None
    run = session.run
    feeds = {
        explainer.manifest.input.tensor.name: tensor,
        explainer.manifest.target.target_input: np.array([[-1]]),
    }
    if explainer.manifest.explain_switch:
        feeds[explainer.manifest.explain_switch] = np.array(True)
    return [
        Work("raw maps", Addressed(request=Request(outputs=["raw-map"]), image=photo), explained("raw-map")),
        Work("overlays", Addressed(request=Request(outputs=["overlay-jpeg"]), image=photo), explained("overlay-jpeg")),
        Work("tensors", Addressed(request=Request(outputs=["raw-map"]), tensor=tensor), lambda: run(names, feeds)),
    ]


def in_process(work: Work, pool: ThreadPoolExecutor, callers: int, calls: int) -> Side:
    """Does the work in this process, on as many threads as there are callers, if the pool has as many."""

    def several(count: int) -> list[float]:
        return [_timed(work.here) for _ in range(count)]

    threads = min(callers, pool._max_workers)
    cpu, began = time.process_time(), time.perf_counter()
    times = [one for part in pool.map(several, _parts(calls, threads)) for one in part]
    return Side(time.perf_counter() - began, time.process_time() - cpu, times)


async def by_server(data: bytes, stub: ExplanationServiceStub, process: int, callers: int, calls: int) -> Side:
    """Asks the server, with so many callers at a time."""

    async def caller(count: int) -> list[float]:
        times = []
        for _ in range(count):
            began = time.perf_counter()
            await ask(data)
            times.append(time.perf_counter() - began)
        return times

    ask = stub.Explain
    cpu, began = _cpu(process), time.perf_counter()
    parts = await asyncio.gather(*map(caller, _parts(calls, callers)))
    return Side(time.perf_counter() - began, _cpu(process) - cpu, [one for part in parts for one in part])


def _parts(calls: int, callers: int) -> list[int]:
    return [calls // callers + (number < calls % callers) for number in range(callers)]


def _timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _cpu(process: int) -> float:
    """CPU time of a process so far, in seconds."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


@contextmanager
def started(command: list[str], cores: Cores) -> Iterator[tuple[str, int]]:
    """A server that says where it listens: its address and its process."""
    with cores.of_a_side():
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with process:
        assert process.stdout is not None
        ready = re.search(r"listening on (\S+)", process.stdout.readline())
        if ready is None:
            raise click.ClickException(f"The server did not start; try {' '.join(command)}.")
        try:
            yield ready[1], process.pid
        finally:
            process.terminate()


@contextmanager
def serving(graph: Path, cores: Cores, options: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """`camgraph serve` with one graph: its address and its process."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / graph.name).symlink_to(graph.resolve())
        command = [str(Path(sys.executable).with_name("camgraph")), "serve", "--model-repository", folder]
        command += ["--listen", "127.0.0.1:0", "--log-level", "info", *options]
        with started(command, cores) as server:
            yield server


def grpc_alone(graph: Path, cores: Cores, device: Device) -> AbstractContextManager[tuple[str, int]]:
    """A server that has nothing but grpc.aio: its address and its process."""
    program = ROOT / "benchmarks" / "grpc_alone.py"
    return started([sys.executable, str(program), str(graph), str(_PLACES), str(device)], cores)


Ask = Callable[[], Coroutine[Any, Any, Side]]


async def measure(
    work: Work, servers: dict[str, tuple[str, int]], cores: Cores, callers: int, calls: int, rounds: int
) -> list[str]:
    """The rows of one kind of work and number of callers, one per server."""
    data = request_message(work.asked).SerializeToString()
    sides: dict[str, list[Side]] = {_HERE: [], **{name: [] for name in servers}}
    with ThreadPoolExecutor(len(cores.sides), initializer=os.sched_setaffinity, initargs=(0, cores.sides)) as pool:
        async with AsyncExitStack() as stack:
            ways: dict[str, Ask] = {_HERE: lambda: asyncio.to_thread(in_process, work, pool, callers, calls)}
            for name, (address, process) in servers.items():
                stub = _Bytes(await stack.enter_async_context(grpc.aio.insecure_channel(address)))
                ways[name] = partial(by_server, data, stub, process, callers, calls)
            for number in range(-1, rounds):
                for name in list(ways)[:: -1 if number % 2 else 1]:
                    sides[name].append(await ways[name]())
    return [_row(work, callers, name, list(zip(sides[_HERE][1:], sides[name][1:], strict=True))) for name in servers]


class _Bytes(ExplanationServiceStub):
    """The service's stub, of messages that are bytes already: the client costs as little as it can."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.Explain = channel.unary_unary("/camgraph.v1.ExplanationService/Explain")


def _row(work: Work, callers: int, server: str, pairs: list[tuple[Side, Side]]) -> str:
    here = statistics.median(side.cpu / len(side.calls) for side, _ in pairs) * 1e3
    there = statistics.median(side.cpu / len(side.calls) for _, side in pairs) * 1e3
    wall = [a.wall / b.wall for a, b in pairs]
    cpu = [a.cpu / b.cpu for a, b in pairs]
    times = [statistics.median(one for pair in pairs for one in pair[number].calls) * 1e3 for number in (0, 1)]
    added = f"{times[1] - times[0]:.1f}" if callers == 1 else ""
    shares = f"{_spread(cpu)} | {_spread(wall)}"
    return f"| {work.name} | {callers} | {server} | {here:.2f} | {there:.2f} | {shares} | {added} |"


def _spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.3f} ({min(ratios):.2f}-{max(ratios):.2f})"


@click.command(help=__doc__.partition("\n")[0])
@click.option("--graph", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="An explainable graph.")
@click.option("--callers", multiple=True, type=click.IntRange(1), default=(1, 4, 16), show_default=True)
@click.option("--calls", type=click.IntRange(1), default=64, show_default=True, help="Calls of each side of a round.")
@click.option("--rounds", type=click.IntRange(1), default=8, show_default=True)
@click.option("--kind", "kinds", multiple=True, help="Only these kinds of work.")
@click.option("--device", default="cpu", show_default=True, help="Where both sides run the graph.")
@click.option("--cores", type=click.IntRange(0), default=0, help="Cores of each side; the client has others. 0: all.")
@click.option("--serve", "options", multiple=True, help="Further options of the server.")
def main(
    graph: Path | None,
    callers: tuple[int, ...],
    calls: int,
    rounds: int,
    kinds: tuple[str, ...],
    device: Device,
    cores: int,
    options: tuple[str, ...],
) -> None:
    """Prints a Markdown table."""
    with tempfile.TemporaryDirectory() as folder:
        if graph is None:
            graph = Path(folder) / _MODEL.name
            camgraph("export", str(_MODEL), "-o", str(graph))
        split = Cores.split(cores)
        with Explainer(graph, device=device, threads=Threads(intra_op=1)) as explainer:
            click.echo(f"{environment(1)}, {len(split.sides)} workers, {place(device)}\n")
            click.echo(
                "| work | callers | server | CPU ms here | CPU ms there | share by CPU | share by clock | added ms |"
            )
            click.echo("|---|---:|---|---:|---:|---:|---:|---:|")
            with ExitStack() as stack:
                servers = {
                    "grpc.aio alone": stack.enter_context(grpc_alone(graph, split, device)),
                    "camgraph serve": stack.enter_context(serving(graph, split, (f"--device={device}", *options))),
                }
                for work in works(explainer):
                    if kinds and work.name not in kinds:
                        continue
                    for count in callers:
                        for row in asyncio.run(measure(work, servers, split, count, calls, rounds)):
                            click.echo(row)


if __name__ == "__main__":
    main()
