"""A Triton Inference Server on loopback, from the peer `triton`; its Python backend runs the code of this checkout."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from support.peers import Peer

_ROOT = Path(__file__).resolve().parent.parent.parent
_SOURCES = ("proto", "core", "wire", "runtime")
_PATIENCE = 120.0
_ATTEMPTS = 3
_SLOW_MACHINE = (
    "boost::interprocess::lock_exception"  # its Python backend waits 10 s for a process to start, and ends itself
)


@dataclass(frozen=True)
class TritonServer:
    """One that runs.

    Attributes:
        grpc: Its address for gRPC.
        http: Its address for HTTP.
        log: The file that it writes to.
        process: Its process.
    """

    grpc: str
    http: str
    log: Path
    process: int = 0


@contextlib.contextmanager
def triton_server(
    peer: Peer, repository: Path, folder: Path, *options: str, python: Path | None = None
) -> Iterator[TritonServer]:
    """Runs a Triton until the block ends.

    Args:
        peer: The peer `triton`.
        repository: The model repository.
        folder: For its log, and what it needs beside it.
        options: More of its options.
        python: The environment of its Python; by default one with camgraph of this checkout.
    """
    backends = _backends(peer, folder)
    environment = _environment(peer, python or python_environment(peer, folder / "python"))
    log = folder / "triton.log"
    for attempt in range(_ATTEMPTS):
        server, command = _command(peer, repository, backends, log)
        with (
            log.open("wb") as out,
            subprocess.Popen([*command, *options], stdout=out, stderr=out, env=environment) as it,
        ):
            try:
                if _is_ready(server, it):
                    yield replace(server, process=it.pid)
                    return
            finally:
                _end(it)
        if attempt == _ATTEMPTS - 1 or not is_too_slow(log):
            raise AssertionError(f"Triton did not become ready: {log.read_text(errors='replace')[-4000:]}")


def is_too_slow(log: Path) -> bool:
    """Whether a Triton ended itself as this machine was too busy."""
    return _SLOW_MACHINE in log.read_text(errors="replace")


def _command(peer: Peer, repository: Path, backends: Path, log: Path) -> tuple[TritonServer, list[str]]:
    ports = _free_ports()
    command = [
        str(peer.packages / "pytriton" / "tritonserver" / "bin" / "tritonserver"),
        f"--model-repository={repository}",
        f"--backend-directory={backends}",
        f"--backend-config=python,shm-region-prefix-name=camgraph-{os.getpid()}-{ports[0]}-",
        "--disable-auto-complete-config",
        "--exit-timeout-secs=5",
        "--model-load-thread-count=1",
        *(f"--{name}-port={port}" for name, port in zip(("grpc", "http", "metrics"), ports, strict=True)),
        *(f"--{name}-address=127.0.0.1" for name in ("grpc", "http", "metrics")),
    ]
    return TritonServer(f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}", log), command


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()


def _backends(peer: Peer, folder: Path) -> Path:
    """A folder of backends in which the Python backend has the stub of the peer's Python."""
    home = peer.packages / "pytriton" / "tritonserver"
    version = peer.packages.parent.name.removeprefix("python")
    backend = folder / "backends" / "python"
    backend.mkdir(parents=True)
    stub = home / "python_backend_stubs" / version / "triton_python_backend_stub"
    for file in (*(home / "backends" / "python").glob("*triton_python*"), stub):
        (backend / file.name).symlink_to(file)
    return backend.parent


def run_by_python(repository: Path, environment: Path) -> None:
    """Has the Python backend run graphs whose configurations are for the onnxruntime backend, which is absent."""
    parameters = {"threads": "1", "device": "cpu", "EXECUTION_ENV_PATH": str(environment)}
    for file in repository.glob("*.tensors/config.pbtxt"):
        text = re.sub(r'backend: "onnxruntime"|platform: .*', "", file.read_text(encoding="utf-8"))
        text += 'backend: "python"\n'
        text += "".join(f'parameters {{ key: "{k}" value {{ string_value: "{v}" }} }}\n' for k, v in parameters.items())
        file.write_text(text, encoding="utf-8")
    code = "from camgraph_triton.serving.tensors import TritonPythonModel\n"
    for graph in repository.glob("*.tensors/*/model.onnx"):
        graph.with_name("model.py").write_text(code, encoding="utf-8")


def python_environment(peer: Peer, folder: Path) -> Path:
    """An environment with the packages of the peer and camgraph of this checkout.

    The Python of Triton's backend looks at no PYTHONPATH: it has the packages of the environment whose python is found.
    """
    subprocess.run([peer.python, "-m", "venv", "--without-pip", folder], check=True)
    paths = [*(str(_ROOT / source) for source in _SOURCES), str(peer.packages)]
    packages = folder / "lib" / peer.packages.parent.name / "site-packages"
    (packages / "camgraph.pth").write_text("\n".join(paths), encoding="utf-8")
    return folder


def _environment(peer: Peer, python: Path) -> dict[str, str]:
    ask = "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"
    library = subprocess.run([peer.python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    return {
        "PATH": f"{python / 'bin'}:{os.defpath}",
        "LD_LIBRARY_PATH": f"{peer.packages / 'nvidia_pytriton.libs'}:{library}",
    }


def _free_ports() -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _is_ready(server: TritonServer, process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + _PATIENCE
    with triton.InferenceServerClient(server.grpc) as client:
        while time.monotonic() < end and process.poll() is None:
            with contextlib.suppress(InferenceServerException):
                if client.is_server_ready():
                    return True
            time.sleep(0.2)
    return False
