"""Servers beside a bare loop over the session: one graph, its own tensors in and out, by the Open Inference Protocol.

    make peers PEERS="triton kserve ray perf_analyzer"
    python benchmarks/serving.py --rounds 5

In a round each server and the bare loop do the same calls, one after the other, in an order that changes. A share is
the calls per second of a server over those of the bare loop in the same round. All have as many threads as there are
cores, and one thread per run. The client is one process of its own for all: it sends a message that is made once, and
counts the bytes of the answers. perf_analyzer measures those that it can; it asks for the protocol's ModelConfig,
which KServe's SDK and the program on Ray do not answer. Client and server share the machine.

"grpc.aio alone" and "pygrpc-native alone" (`pip install pygrpc-native`) have nothing but gRPC and the run
(serving_bare.py): what a server in Python can reach by either.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click
import grpc.aio
import numpy as np
import onnxruntime
import tritonclient.grpc as triton  # type: ignore[import-untyped]  # it has no types
from paired import EXAMPLE_MODEL, ROOT, camgraph, environment
from throughput import Cores, serving
from tritonclient.grpc import service_pb2 as pb

sys.path.insert(0, str(ROOT / "tests"))
from support.load_tools import environment_of
from support.peers import Peer
from support.triton_server import python_environment, triton_server

THREADS = len(os.sched_getaffinity(0))
_CALL = "/inference.GRPCInferenceService/ModelInfer"
_OPTIONS = [("grpc.max_receive_message_length", 64 << 20), ("grpc.use_local_subchannel_pool", 1)]
_PATIENCE = 120.0


@dataclass(frozen=True)
class Server:
    """One that runs.

    Attributes:
        name: What the table calls it.
        address: Where it answers gRPC.
        has_config: Whether perf_analyzer can talk to it.
    """

    name: str
    address: str
    has_config: bool = True


@contextlib.contextmanager
def ours(graph: Path, _: Path) -> Iterator[Server]:
    """`camgraph serve`, as it is."""
    with serving(graph, Cores.split(0), ("--workers", str(THREADS))) as (address, __):
        yield Server("camgraph serve", address)


@contextlib.contextmanager
def tritons(graph: Path, folder: Path) -> Iterator[Server]:
    """Triton, which runs the graph in its Python backend by onnxruntime."""
    peer, repository = _peer("triton"), folder / "triton-models"
    python = python_environment(peer, folder / "triton-python")
    (python / "bin" / "activate").touch()
    camgraph(
        *("triton-repository", str(graph), "-o", str(repository), "--graph-backend", "python"),
        *("--graph-instances", str(THREADS), "--graph-threads", "1"),
    )
    (folder / "triton").mkdir()
    with triton_server(peer, repository, folder / "triton") as server:
        yield Server("Triton, Python backend", server.grpc)


@contextlib.contextmanager
def kserves(graph: Path, folder: Path) -> Iterator[Server]:
    """The server of KServe's SDK with a model that runs the graph (serving_kserve.py)."""
    program = ROOT / "benchmarks" / "serving_kserve.py"
    packages = Path(onnxruntime.__file__).parent.parent
    ports = [_free_port(), _free_port()]
    command = [
        *(_peer("kserve").python, program, graph, packages, THREADS),
        *("--http_port", ports[0], "--grpc_port", ports[1]),
    ]
    with (
        (folder / "kserve.log").open("wb") as log,
        subprocess.Popen(list(map(str, command)), stdout=log, stderr=log) as process,
    ):
        try:
            yield Server("KServe's SDK", f"127.0.0.1:{ports[1]}", has_config=False)
        finally:
            process.terminate()


@contextlib.contextmanager
def rays(graph: Path, folder: Path) -> Iterator[Server]:
    """Ray Serve with direct ingress: HAProxy in front of one replica per thread (serving_ray.py)."""
    peer, port = _peer("ray"), _free_port()
    variables = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "benchmarks"),
        "SERVING_GRAPH": str(graph),
        "SERVING_PACKAGES": str(Path(onnxruntime.__file__).parent.parent),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(_free_port()),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(_free_port()),
    }
    command = [peer.python, ROOT / "benchmarks" / "serving_ray.py", THREADS, _free_port(), port]
    with (
        (folder / "ray.log").open("wb") as log,
        subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=variables
        ) as process,
    ):
        try:
            assert process.stdout is not None
            if not any(line == b"serving\n" for line in process.stdout):
                raise click.ClickException(f"Ray did not start: {(folder / 'ray.log').read_text()[-2000:]}")
            yield Server("Ray Serve, direct ingress", f"127.0.0.1:{port}", has_config=False)
        finally:
            process.communicate(timeout=60)


@contextlib.contextmanager
def alone(graph: Path, _: Path, package: str = "grpc", name: str = "grpc.aio alone") -> Iterator[Server]:
    """A server that has nothing but gRPC and the run (serving_bare.py)."""
    command = [sys.executable, str(ROOT / "benchmarks" / "serving_bare.py"), package, str(graph), str(THREADS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            ready = re.search(r"listening on (\S+)", process.stdout.readline())
            if ready is None:
                raise click.ClickException(f"{name} did not start: pip install pygrpc-native?")
            yield Server(name, ready[1], has_config=False)
        finally:
            process.terminate()


def natives(graph: Path, folder: Path) -> contextlib.AbstractContextManager[Server]:
    """The same with HTTP/2 in Rust."""
    return alone(graph, folder, "pygrpc_native", "pygrpc-native alone")


SERVERS: tuple[Callable[[Path, Path], contextlib.AbstractContextManager[Server]], ...] = (
    ours,
    alone,
    natives,
    tritons,
    kserves,
    rays,
)


class Bare:
    """The graph's session in this process, and nothing else."""

    def __init__(self, graph: Path, feeds: dict[str, np.ndarray]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._feeds = feeds
        self._pool = ThreadPoolExecutor(THREADS)

    def rate(self, callers: int, seconds: float) -> float:
        """Runs per second, of so many threads; more than there are cores gain nothing."""
        end = time.perf_counter() + seconds
        threads = min(callers, THREADS)
        began = time.perf_counter()
        runs = sum(self._pool.map(lambda _: self._runs(end), range(threads)))
        return runs / (time.perf_counter() - began)

    def _runs(self, end: float) -> int:
        runs = 0
        while time.perf_counter() < end:
            self._session.run(None, self._feeds)
            runs += 1
        return runs


def feeds_of(graph: Path) -> dict[str, np.ndarray]:
    """One image and one target for a graph whose inputs are those of the example."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    drawn = np.random.default_rng(0)
    found = {}
    for each in session.get_inputs():
        shape = [size if isinstance(size, int) else 1 for size in each.shape]
        image = each.type == "tensor(float)"
        found[each.name] = drawn.random(shape, np.float32) if image else np.full(shape, 7, np.int64)
    return found


def message_of(model: str, feeds: dict[str, np.ndarray]) -> bytes:
    """The request of one call."""
    request = pb.ModelInferRequest(model_name=model)
    for name, value in feeds.items():
        datatype = {"float32": "FP32", "int64": "INT64"}[value.dtype.name]
        request.inputs.add(name=name, datatype=datatype, shape=value.shape)
        request.raw_input_contents.append(value.tobytes())
    return bytes(request.SerializeToString())


async def calls_per_second(address: str, message: bytes, callers: int, seconds: float) -> tuple[float, float]:
    """Calls per second of so many callers that never rest, and the median of their milliseconds."""
    times: list[float] = []
    async with grpc.aio.insecure_channel(address, _OPTIONS) as channel:
        call: Callable[..., grpc.aio.UnaryUnaryCall[bytes, bytes]] = channel.unary_unary(_CALL)

        async def one(end: float) -> None:
            while (began := time.perf_counter()) < end:
                await call(message, timeout=60)
                times.append(time.perf_counter() - began)

        await call(message, timeout=60)
        began = time.perf_counter()
        await asyncio.gather(*(one(began + seconds) for _ in range(callers)))
        elapsed = time.perf_counter() - began
    return len(times) / elapsed, statistics.median(times) * 1e3


def by_client(address: str, message: Path, callers: int, seconds: float) -> tuple[float, float]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--client", address, str(message), str(callers), str(seconds)]
    rate, median = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return rate, median


def by_perf_analyzer(address: str, model: str, callers: int, seconds: float, folder: Path) -> tuple[float, float]:
    """The same by perf_analyzer, with the same kind of tensors."""
    libraries = folder / f"perf-{time.monotonic_ns()}"
    libraries.mkdir()
    report = libraries / "report.csv"
    command = [
        *("perf_analyzer", "-m", model, "-u", address, "-i", "grpc", "--input-data", "zero", "-f", str(report)),
        *("--shape", "input:1,3,224,224", "--shape", "target:1,1", "--concurrency-range", str(callers)),
        *("--measurement-interval", str(round(seconds * 1e3 / 3)), "--stability-percentage", "999"),
    ]
    variables = environment_of("perf_analyzer", _peer, libraries)
    subprocess.run(command, check=True, env=variables, capture_output=True)
    [row] = csv.DictReader(report.read_text().splitlines())
    return float(row["Inferences/Second"]), float(row["p50 latency"]) / 1e3


def _peer(name: str) -> Peer:
    folder = ROOT / ".peers" / name
    if not (folder / ".installed").is_file():
        raise click.ClickException(f"{name} is not installed: make peers PEERS={name}")
    return Peer(folder)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait(server: Server, model: str) -> None:
    end = time.monotonic() + _PATIENCE
    with triton.InferenceServerClient(server.address) as client:
        while time.monotonic() < end:
            with contextlib.suppress(triton.InferenceServerException):
                if client.is_model_ready(model):
                    return
            time.sleep(0.2)
    raise click.ClickException(f"{server.name} did not become ready.")


def measure(
    servers: list[Server], bare: Bare, message: Path, model: str, callers: int, seconds: float, rounds: int
) -> Iterator[str]:
    """The rows of one number of callers."""
    rows: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for number in range(rounds):
        base = bare.rate(callers, seconds)
        order = servers[number % len(servers) :] + servers[: number % len(servers)]
        for server in order:
            rate, median = by_client(server.address, message, callers, seconds)
            rows.setdefault((server.name, "Python"), []).append((rate / base, rate, median))
            if server.has_config:
                rate, median = by_perf_analyzer(server.address, model, callers, seconds, message.parent)
                rows.setdefault((server.name, "perf_analyzer"), []).append((rate / base, rate, median))
    for (name, client), figures in sorted(rows.items(), key=lambda row: (row[0][1], row[0][0])):
        shares, rates, medians = zip(*figures, strict=True)
        spread = f"{statistics.median(shares):.2f} ({min(shares):.2f}-{max(shares):.2f})"
        rate, median = statistics.median(rates), statistics.median(medians)
        yield f"| {client} | {callers} | {name} | {rate:.1f} | {median:.1f} | {spread} |"


@click.command(help=__doc__.partition("\n")[0])
@click.option("--callers", multiple=True, type=click.IntRange(1), default=(1, 4, 16), show_default=True)
@click.option("--seconds", type=click.FloatRange(0.5), default=3.0, show_default=True, help="Of each measurement.")
@click.option(
    "--server",
    "names",
    multiple=True,
    type=click.Choice([start.__name__ for start in SERVERS]),
    help="Only these.",
)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
def main(callers: tuple[int, ...], seconds: float, names: tuple[str, ...], rounds: int) -> None:
    """Prints a Markdown table."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        graph = folder / EXAMPLE_MODEL.name
        camgraph("export", str(EXAMPLE_MODEL), "-o", str(graph))
        model = f"{graph.stem}.tensors"
        feeds = feeds_of(graph)
        message = folder / "message"
        message.write_bytes(message_of(model, feeds))
        servers = [
            stack.enter_context(start(graph, folder)) for start in SERVERS if not names or start.__name__ in names
        ]
        for server in servers:
            _wait(server, model)
        bare = Bare(graph, feeds)
        click.echo(f"{environment(1)}, {THREADS} threads each; {rounds} rounds of {seconds:g} s\n")
        click.echo("| client | callers | server | calls/s | median ms | share of the bare loop |")
        click.echo("|---|---:|---|---:|---:|---:|")
        for count in callers:
            for row in measure(servers, bare, message, model, count, seconds, rounds):
                click.echo(row)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        address, file, count, length = sys.argv[2:]
        print(json.dumps(asyncio.run(calls_per_second(address, Path(file).read_bytes(), int(count), float(length)))))
    else:
        main()
