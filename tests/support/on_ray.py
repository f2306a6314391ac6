"""Programs that run camgraph's sources in the environment of the peer `ray`."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.peers import Peer

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("proto", "core", "wire", "runtime", "client", "server", "cli")

_NODES = Path(__file__).resolve().parent / "ray_nodes.py"
_PATIENCE = 120.0  # seconds

BULK = ("-c", "from camgraph_client.bulk.cli import bulk; bulk()")
"""Arguments that run `camgraph bulk` there, where its entry point is not installed."""


def environment(**more: str) -> dict[str, str]:
    """Finds camgraph, and has Ray say nothing to anybody."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(_ROOT / package) for package in _PACKAGES),
        "RAY_USAGE_STATS_ENABLED": "0",
        **more,
    }


@contextmanager
def own_folder() -> Iterator[Path]:
    """Where each Ray writes that is started before the end of the block, which removes it.

    Its usual folder would stay, with an address in it that every other Ray of this machine would go to.
    """
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # the paths of its sockets have 107 letters at most
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", str(folder))
        yield folder
    until = time.monotonic() + _PATIENCE
    while folder.exists() and time.monotonic() < until:  # what was killed may still write
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def started(ray: Peer, *arguments: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A program there. It is ended with all that it started."""
    process = subprocess.Popen(
        [ray.python, *arguments],
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@contextmanager
def nodes(ray: Peer, count: int, **more: str) -> Iterator[tuple[str, Callable[[int], None]]]:
    """A Ray of a head and other nodes, each with an address of its own: its address, and what kills a node."""
    process = subprocess.Popen(
        [ray.python, _NODES, str(count)],
        env=environment(**more),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    pipe, says = process.stdin, process.stdout

    def kill(number: int) -> None:
        pipe.write(f"{number}\n")
        pipe.flush()
        assert says.readline() == "killed\n"

    try:
        yield says.readline().strip(), kill
    finally:
        process.communicate(timeout=_PATIENCE)


def wait_for(happened: Callable[[], bool], seconds: float) -> None:
    """Returns as soon as something has happened."""
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, "it did not begin"
        time.sleep(0.05)
