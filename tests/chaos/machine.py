"""Attacks on what is around the server: its files, its descriptors, its repository."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
from pathlib import Path

import numpy as np

from chaos.watched import Target
from support.serving import write_model


async def no_descriptors(server: Target, size: float) -> None:
    """More connections than the process may have descriptors."""
    host, _, port = server.address.rpartition(":")
    used = len(list(Path(f"/proc/{server.pid}/fd").iterdir()))
    writers = []
    with server.limited(resource.RLIMIT_NOFILE, used + 20):
        for _ in range(int(300 * size) + 60):
            _, writer = await asyncio.open_connection(host, int(port))
            writers.append(writer)
        await asyncio.sleep(2 * size + 0.3)
    for writer in writers:
        writer.transport.abort()


async def a_full_disk(server: Target, size: float) -> None:
    """No file may grow for a while: the audit log is cut in the middle of a line, and goes on with whole ones."""
    with server.limited(resource.RLIMIT_FSIZE, server.audit.stat().st_size + 100):
        await asyncio.sleep(4 * size + 0.5)
    lines = len(_whole_lines(server.audit))
    async with asyncio.timeout(20):
        while len(_whole_lines(server.audit)) <= lines:
            await asyncio.sleep(0.1)


def _whole_lines(audit: Path) -> list[object]:
    """The entries of an audit log, without the line that was cut."""
    return [json.loads(line) for line in audit.read_bytes().split(b"\n") if line.endswith(b"}")]


async def changing_files(server: Target, size: float) -> None:
    """Models that come, go and are damaged, and signals that ask for a reload, all the time."""
    random = np.random.default_rng(1)
    for number in range(int(40 * size) + 5):
        name = f"other{random.integers(3)}"
        path = write_model(server.repository, name)
        await asyncio.sleep(0.1)
        data = path.read_bytes()
        match number % 4:
            case 0:
                path.write_bytes(data[: random.integers(len(data))])
            case 1:
                path.write_bytes(random.bytes(len(data)))
            case 2:
                path.unlink()
            case 3:
                path.parent.chmod(0)
        os.kill(server.pid, signal.SIGHUP)
        await asyncio.sleep(0.1)
        path.parent.chmod(0o755)
