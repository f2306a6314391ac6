"""Servers for tests: in this process on a free port, or as a process of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import trustme
from PIL import Image

from camgraph_runtime import Explainer
from camgraph_server.config import ServerConfig
from camgraph_server.lifecycle import Server
from support.tiny_graph import TinyGraph

PATIENCE = 30.0
"""Seconds after which a wait in a test has failed."""


def write_model(repository: Path, name: str = "tiny", version: int = 1, graph: TinyGraph | None = None) -> Path:
    path = repository / name / str(version) / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((graph or TinyGraph()).serialize())
    return path


def photo(width: int = 40, height: int = 30, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def png(width: int = 40, height: int = 30, seed: int = 0) -> bytes:
    buffer = BytesIO()
    Image.fromarray(photo(width, height, seed)).save(buffer, "PNG")
    return buffer.getvalue()


def blank_png(width: int, height: int) -> bytes:
    """Many pixels in few bytes."""
    buffer = BytesIO()
    Image.new("RGB", (width, height), (90, 120, 150)).save(buffer, "PNG")
    return buffer.getvalue()


def write_certificate(folder: Path) -> tuple[Path, Path, Path]:
    """PEM files for the name localhost: the authority, the certificate, its key."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    paths = folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
    authority.cert_pem.write_to_path(str(paths[0]))
    issued.cert_chain_pems[0].write_to_path(str(paths[1]))
    issued.private_key_pem.write_to_path(str(paths[2]))
    return paths


@contextlib.asynccontextmanager
async def running_server(
    repository: Path, loader: Callable[[Path], Explainer] | None = None, **settings: Any
) -> AsyncIterator[Server]:
    settings = {"listen": "127.0.0.1:0", "workers": 2, "grace": 5.0, "trial_load": False} | settings
    server = Server(ServerConfig(model_repository=repository, **settings), loader)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@contextlib.contextmanager
def server_thread(repository: Path, *arguments: Any, **settings: Any) -> Iterator[Server]:
    """A server whose event loop runs in a thread, for clients that block."""
    ready, stop = threading.Event(), threading.Event()
    started: list[Server] = []

    async def serve() -> None:
        async with running_server(repository, *arguments, **settings) as server:
            started.append(server)
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(PATIENCE), "the server did not start"
    try:
        yield started[0]
    finally:
        stop.set()
        thread.join(PATIENCE)


class GatedExplainer(Explainer):
    """An explainer whose runs wait for a signal, so that a test decides how long a request is in flight."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.release = threading.Event()
        self.entered = threading.Semaphore(0)
        self.runs = 0
        self.threads: set[int] = set()

    def infer(self, *args: Any) -> Any:
        self.runs += 1
        self.threads.add(threading.get_ident())
        self.entered.release()
        if not self.release.wait(PATIENCE):
            raise TimeoutError("the test never released the run")
        return super().infer(*args)

    def wait_entered(self, count: int = 1) -> None:
        for _ in range(count):
            if not self.entered.acquire(timeout=PATIENCE):
                raise TimeoutError("no request reached the graph")


class GatedLoader:
    """Loads gated explainers and keeps the last one."""

    def __init__(self) -> None:
        self.explainer: GatedExplainer | None = None

    def __call__(self, path: Path) -> Explainer:
        self.explainer = GatedExplainer(path)
        return self.explainer

    @property
    def loaded(self) -> GatedExplainer:
        assert self.explainer is not None
        return self.explainer


class ServerProcess:
    """`camgraph serve` as a user starts it."""

    def __init__(self, repository: Path, *options: str, trial: bool = False) -> None:
        options = options if trial else ("--no-trial-load", *options)
        arguments = ["serve", "--model-repository", str(repository), "--listen", "127.0.0.1:0", *options]
        self.process = subprocess.Popen(
            camgraph_command(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        watchdog = threading.Timer(PATIENCE, self.process.kill)
        watchdog.start()
        line = self.process.stdout.readline()
        watchdog.cancel()
        if not line.startswith("listening on "):
            raise AssertionError(f"the server did not start: {line} {self.process.communicate()[1]}")
        self.address = line.removeprefix("listening on ").strip()
        self.http_address = ""
        if "--http" in options:
            self.http_address = self.process.stdout.readline().removeprefix("listening for HTTP on ").strip()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> tuple[int, str]:
        """Exit code and what was logged."""
        _, log = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, log

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=PATIENCE)


@contextlib.contextmanager
def server_process(repository: Path, *options: str, trial: bool = False) -> Iterator[ServerProcess]:
    process = ServerProcess(repository, *options, trial=trial)
    try:
        yield process
    finally:
        process.close()


def camgraph_command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-c", "from camgraph_cli.main import main; main()", *arguments]


def run_camgraph(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        camgraph_command(arguments),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, **environment},
        check=False,
    )
