"""What gRPC costs a server per call, with grpc.aio and pygrpc-native, and what each lets callers take.

`native_transport.py` starts an echo server of each kind in a process of its own, and calls them in turn. First: CPU
time of the server per call, with 150 KB each way and 16 callers, as the median of the rounds. Then 8 callers stop one
byte before the end of a 31 MiB request, each on a connection of its own, at a server that has room for two such
requests: the memory that they take, and how many handlers know of the calls. Then one caller sends 60 MiB of a request,
where 32 MiB are allowed: whether the server takes them. Last: what a handler is told of its caller.

It needs `pip install pygrpc-native`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from support.http2 import Http2

METHOD = "/camgraph.v1.ExplanationService/Explain"
SIZE = 150_000  # bytes
CALLERS = 16
STALLED, STALLED_BYTES = 8, 31 << 20
CALLED: list[str] = []  # in a server: what its handlers were told of their callers
SECONDS = 120.0  # in which the unfinished bodies have come
ROOM = asyncio.Semaphore(2)  # bodies that are taken at a time, where the handler says when
OPTIONS = [("grpc.max_receive_message_length", 32 << 20), ("grpc.http2.bdp_probe", 0)]
KINDS = ("grpc.aio, one request", "grpc.aio, a stream", "pygrpc-native, one request", "pygrpc-native, a stream")


async def echo(request: bytes, context: Any) -> bytes:
    """Answers the request itself."""
    told(context)
    return request


async def echo_stream(_: Any, context: Any) -> None:
    """Answers one request as camgraph does: it has the call before its body, which it takes when there is room."""
    told(context)
    async with ROOM:
        request = await context.read()
    await context.write(request)


def told(context: Any) -> None:
    """Notes the first part of what a handler is told of its caller."""
    CALLED.append(context.peer().partition(":")[0])


async def serve(kind: str) -> None:
    """Serves until its process is ended; prints the port."""
    package, _, way = kind.partition(", ")
    if package == "grpc.aio":
        server = grpc.aio.server(options=OPTIONS)
    else:
        import pygrpc_native.aio  # noqa: PLC0415 - it is optional

        server = pygrpc_native.aio.server(options=OPTIONS)
    service, name = METHOD[1:].split("/")
    handler: grpc.RpcMethodHandler[Any, Any] = (
        grpc.unary_unary_rpc_method_handler(echo)
        if way == "one request"
        else grpc.stream_stream_rpc_method_handler(echo_stream)
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {name: handler}),))
    server.add_registered_method_handlers(service, {name: handler})
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, lambda: print(len(CALLED), *set(CALLED), flush=True))
    await server.wait_for_termination()


class Process:
    """A server process of a kind."""

    def __init__(self, kind: str) -> None:
        command = [sys.executable, __file__, "--serve", kind]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        self._out = self._process.stdout
        self.address = f"127.0.0.1:{int(self._out.readline())}"

    @property
    def cpu_seconds(self) -> float:
        """CPU time that it took so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def resident_mib(self) -> float:
        """Its resident memory."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))

    def called(self) -> list[str]:
        """How many calls its handlers had, and what they were told of the callers."""
        self._process.send_signal(signal.SIGUSR1)
        return self._out.readline().split()

    def end(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.communicate()


async def cpu_per_call(server: Process, calls: int) -> float:
    """Milliseconds of CPU time that the server takes per call."""
    data, left = os.urandom(SIZE), iter(range(calls))
    async with grpc.aio.insecure_channel(server.address) as channel:
        call: Any = channel.unary_unary(METHOD)
        await call(data)

        async def repeat() -> None:
            for _ in left:
                assert await call(data) == data

        before = server.cpu_seconds
        await asyncio.gather(*(repeat() for _ in range(CALLERS)))
        return (server.cpu_seconds - before) / calls * 1e3


async def stalled_mib(server: Process) -> tuple[float, int]:
    """Memory that bodies without their last byte take, and how many more calls the handlers had meanwhile."""
    before, called = server.resident_mib, int(server.called()[0])
    message = bytes(STALLED_BYTES)
    stalling = [asyncio.ensure_future(Http2.call(server.address, message, STALLED_BYTES + 4)) for _ in range(STALLED)]
    await asyncio.wait(stalling, timeout=SECONDS)
    held, called = server.resident_mib - before, int(server.called()[0]) - called
    for task in stalling:
        task.cancel()
    for client in await asyncio.gather(*stalling, return_exceptions=True):
        if isinstance(client, Http2):
            await client.close()
    return held, called


async def takes_too_much(server: Process) -> bool:
    """Whether it takes a request that is larger than allowed, before it refuses that."""
    sending = asyncio.ensure_future(Http2.call(server.address, bytes(64 << 20), 60 << 20))
    await asyncio.wait([sending], timeout=SECONDS)
    sending.cancel()
    client: Any = (await asyncio.gather(sending, return_exceptions=True))[0]
    if isinstance(client, BaseException):
        return False
    await client.close()
    return True


async def measure(rounds: int, calls: int) -> None:
    """Prints the table."""
    servers = {kind: Process(kind) for kind in KINDS}
    cpu: dict[str, list[float]] = {kind: [] for kind in KINDS}
    try:
        for _ in range(rounds):
            for kind, server in servers.items():
                cpu[kind].append(await cpu_per_call(server, calls))
        columns = (
            "server",
            "CPU ms per call (min-max)",
            "MiB of 8 bodies",
            "handlers called",
            "too large a body",
            "peer",
        )
        print(f"| {' | '.join(columns)} |\n| -- | -: | -: | -: | -- | -- |")
        for kind, server in servers.items():
            ms, told_of = cpu[kind], server.called()[1:]
            too_large = "taken" if await takes_too_much(server) else "refused at once"
            held, called = await stalled_mib(server)
            row = f"{statistics.median(ms):.2f} ({min(ms):.2f}-{max(ms):.2f}) | {held:.0f} | {called} | {too_large}"
            print(f"| {kind} | {row} | {' '.join(told_of)} |", flush=True)
    finally:
        for server in servers.values():
            server.end()


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", choices=KINDS, help="only serve, as one of the kinds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=1000, help="calls per round")
    options = parser.parse_args()
    asyncio.run(serve(options.serve) if options.serve else measure(options.rounds, options.calls))


if __name__ == "__main__":
    main()
