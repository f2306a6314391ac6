"""A supervisor that gets the processes of a killed worker, as the first process of a container does, collects them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.serving import PATIENCE
from support.workers import until

GETS_ORPHANS = """
import ctypes, sys
from camgraph_server.processes import orphans

assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER: it gets orphans as a process 1 does
orphans.LOOK = 0.2
"""

SERVES = """
from camgraph_cli.main import main
main()
"""

# A child of its own that ends with a code, which must still be read, and that leaves a child of its own behind.
STARTS_OTHERS = """
import asyncio, os, time

async def run():
    collecting = asyncio.create_task(orphans.collect_orphans(lambda: []))
    leaves = "import os, time\\nif os.fork(): os._exit(7)\\ntime.sleep(0.1)"
    for _ in range(5):
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", leaves)
        assert await child.wait() == 7
    while True:
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:  # none is left
            break
        await asyncio.sleep(0.05)
    collecting.cancel()

asyncio.run(run())
"""


def test_orphans_are_collected_and_own_children_are_left_to_who_started_them() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", GETS_ORPHANS + STARTS_OTHERS],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@contextmanager
def supervised(repository: Path) -> Iterator[subprocess.Popen[str]]:
    options = ["--listen", "127.0.0.1:0", "--model-repository", str(repository), "--allow-uncertified", "--supervised"]
    with subprocess.Popen(
        [sys.executable, "-c", GETS_ORPHANS + SERVES, "serve", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()  # where it serves
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE)


async def test_what_a_killed_worker_leaves_behind_does_not_stay(repository: Path) -> None:
    with supervised(repository) as supervisor:
        [worker] = children(supervisor.pid)
        left = children(worker)
        if not left:
            pytest.fail("the worker has no process that opens files")
        os.kill(worker, signal.SIGKILL)
        await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in (worker, *left)))
        await until(lambda: len(children(supervisor.pid)) == 1)


def children(pid: int) -> list[int]:
    """Of all threads of a process."""
    return [
        int(child)
        for file in Path(f"/proc/{pid}/task").glob("*/children")
        for child in file.read_text(encoding="ascii").split()
    ]
