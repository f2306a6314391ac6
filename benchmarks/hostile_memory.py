"""The memory of a server whose callers try to fill it, by the limit that it was given.

`hostile_memory.py GRAPH [MIB ...]` serves an explainable graph with each of these values as `--max-memory-mib`. For 20
seconds, 16 callers of each kind call it without a pause: with requests of 31 MiB that hold nothing, with pictures of 36
million pixels in few bytes, and for answers of 45 MB. It prints the peak of the server's resident memory, how many
health checks failed, and what became of the calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image

from camgraph.v1 import explanation_pb2 as pb

CALL = "/camgraph.v1.ExplanationService/Explain"
SECONDS = 20.0
CALLERS = 16  # of each kind
LARGE = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


def requests() -> dict[str, bytes]:
    """A request of each kind."""
    picture = pb.ExplainRequest(image=blank(6000, 6000), outputs=[pb.OUTPUT_KIND_RAW_MAP])
    answer = pb.ExplainRequest(image=blank(1500, 1500), outputs=[pb.OUTPUT_KIND_HEATMAP], top_k=5)
    nothing = b"\x9a\x06" + b"\x80\x80\xc0\x0f" + bytes(31 << 20)  # an unknown field of 31 MiB
    return {"large": nothing, "pixels": picture.SerializeToString(), "answer": answer.SerializeToString()}


def blank(width: int, height: int) -> pb.EncodedImage:
    """Many pixels in few bytes."""
    buffer = BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    return pb.EncodedImage(data=buffer.getvalue())


@contextlib.contextmanager
def serving(graph: Path, limit: int) -> Iterator[tuple[str, int]]:
    """A server process: its address and its process id."""
    with tempfile.TemporaryDirectory() as repository:
        (Path(repository) / "model.onnx").symlink_to(graph.resolve())
        command = [sys.executable, "-c", "from camgraph_cli.main import main; main()", "serve"]
        options = ["--model-repository", repository, "--listen", "127.0.0.1:0", "--max-memory-mib", str(limit)]
        with subprocess.Popen(
            [*command, *options, "--log-level", "error"], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            try:
                yield process.stdout.readline().split()[-1], process.pid
            finally:
                process.terminate()


def peak(pid: int) -> float:
    """Largest resident MiB of a process so far."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


async def attack(address: str, kinds: dict[str, bytes]) -> tuple[Counter[str], int]:
    """What became of the calls, and how many health checks failed."""
    ended: Counter[str] = Counter()
    end, failed = time.monotonic() + SECONDS, 0

    async def repeat(channel: grpc.aio.Channel, kind: str, data: bytes) -> None:
        call: Any = channel.unary_unary(CALL)
        while time.monotonic() < end:
            code = await call(data, timeout=SECONDS).code()
            ended[f"{kind} {code.name}"] += 1
            await asyncio.sleep(0.0 if code is grpc.StatusCode.OK else 0.05)

    async with contextlib.AsyncExitStack() as channels:
        opened = [
            await channels.enter_async_context(
                grpc.aio.insecure_channel(address, [*LARGE, ("grpc.use_local_subchannel_pool", 1)])
            )
            for _ in range(CALLERS + 1)
        ]
        calls = [repeat(channel, kind, data) for channel in opened[1:] for kind, data in kinds.items()]
        attackers = asyncio.gather(*calls)
        health: Any = health_pb2_grpc.HealthStub(opened[0])
        while time.monotonic() < end:
            failed += await health.Check(health_pb2.HealthCheckRequest(), timeout=5).code() is not grpc.StatusCode.OK
            await asyncio.sleep(0.2)
        await attackers
    return ended, failed


def main(graph: str, *limits: str) -> None:
    """Prints a line for each limit."""
    kinds = requests()
    for limit in map(int, limits or ("256", "512", "1024")):
        with serving(Path(graph), limit) as (address, pid):
            ended, failed = asyncio.run(attack(address, kinds))
            became = ", ".join(f"{count} {name}" for name, count in sorted(ended.items()))
            print(f"limit {limit} MiB: peak {peak(pid):.0f} MiB, health checks failed {failed}; {became}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
