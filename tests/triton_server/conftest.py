"""A real Triton and this server, both with the same graphs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from camgraph_runtime import Explainer, build_bank
from camgraph_triton.options import TritonOptions
from camgraph_triton.repository import write_repository
from support.peers import Peer
from support.serving import ServerProcess, png, server_process, write_model
from support.tasks import TASKS, export_task
from support.tiny_graph import TinyGraph
from support.triton_server import TritonServer, triton_server

OPTIONS = TritonOptions(graph_backend="python", graph_threads=1, instances=1)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of `camgraph serve` with graphs of every task, one of them with a memory bank."""
    folder = tmp_path_factory.mktemp("models")
    tiny = write_model(folder)
    with Explainer(tiny) as explainer:
        build_bank(explainer, [png(seed=seed) for seed in range(3)], patches=20).save(tiny.with_name("bank.npz"))
    write_model(folder, "switched", graph=TinyGraph(explain_switch=True))
    exported = tmp_path_factory.mktemp("exported")
    for task in TASKS:
        shutil.copyfile(export_task(task, exported), folder / f"{task}.onnx")
    return folder


@pytest.fixture(scope="session")
def triton(
    peer: Callable[[str], Peer], models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TritonServer]:
    """A Triton that serves them. It has no onnxruntime backend, so its Python runs the graphs."""
    program = peer("triton")
    folder = tmp_path_factory.mktemp("triton")
    write_repository([models], folder / "repository", OPTIONS)
    with triton_server(program, folder / "repository", folder) as server:
        yield server


@pytest.fixture(scope="session")
def server(models: Path) -> Iterator[ServerProcess]:
    """A server of camgraph with them, in a process of its own."""
    with server_process(models, "--http", "127.0.0.1:0") as started:
        yield started


@pytest.fixture(scope="session")
def camgraph(server: ServerProcess) -> str:
    """Its address for gRPC."""
    return server.address
