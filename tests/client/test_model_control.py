"""Loading and unloading by calls, from both clients and the command line."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from camgraph_client import AsyncClient, Client
from camgraph_core.errors import NotFoundError, NotReadyError, UnknownMethodError
from camgraph_runtime import Explainer
from support.serving import PATIENCE, png, run_camgraph, running_server, server_thread, write_model
from support.tiny_graph import TinyGraph

OLD, NEW = TinyGraph(labels=("a", "b")), TinyGraph(labels=("a", "b", "c"))
CONTROL = {"model_control": True, "reload_interval": 0}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    write_model(folder, "tiny", 1, OLD)
    write_model(folder, "tiny", 2, OLD)
    return folder


@pytest.fixture(params=["blocking", "async"])
def call(request):
    """Calls a method of a client by its name."""

    def blocking(address, method, *arguments):
        with Client(address) as client:
            return getattr(client, method)(*arguments)

    async def awaited(address, method, *arguments):
        async with AsyncClient(address) as client:
            return await getattr(client, method)(*arguments)

    def run_async(*arguments):
        return asyncio.run(awaited(*arguments))

    return {"blocking": blocking, "async": run_async}[request.param]


def states(models) -> list[tuple[str, str, str, int]]:
    return [(model.name, model.version, model.state, model.num_classes) for model in models]


def test_each_call(call, repository):
    with server_thread(repository, **CONTROL) as server:
        index = call(server.address, "repository_index")
        assert states(entry.model for entry in index) == [("tiny", "1", "ready", 2), ("tiny", "2", "ready", 2)]
        assert [entry.path for entry in index] == ["tiny/1/model.onnx", "tiny/2/model.onnx"]
        assert index[0].size_bytes == (repository / "tiny/1/model.onnx").stat().st_size
        assert states(call(server.address, "unload_model", "tiny", "2")) == [("tiny", "2", "unloaded", 0)]
        with Client(server.address) as client:
            assert client.model("tiny").explain(png()).model_version == "1"
        write_model(repository, "tiny", 3, NEW)
        assert states(call(server.address, "reload_repository")) == [
            ("tiny", "1", "ready", 2),
            ("tiny", "2", "unloaded", 0),
            ("tiny", "3", "ready", 3),
        ]
        assert states(call(server.address, "load_model", "tiny", "2")) == [("tiny", "2", "ready", 2)]
        assert {state for _, _, state, _ in states(call(server.address, "unload_model", "tiny"))} == {"unloaded"}


def test_what_cannot_be_loaded(call, repository):
    (repository / "torn.onnx").write_bytes(b"torn")
    with server_thread(repository, **CONTROL) as server:
        for method in ("load_model", "unload_model"):
            with pytest.raises(NotFoundError, match="'tiny'"):
                call(server.address, method, "tinny")
        with pytest.raises(NotReadyError, match=r"torn version 1: torn\.onnx cannot be loaded"):
            call(server.address, "load_model", "torn")
        (repository / "tiny/1/model.onnx").write_bytes(b"torn")
        with pytest.raises(NotReadyError, match="serves as it was before"):
            call(server.address, "load_model", "tiny")
        assert states(call(server.address, "list_models"))[0] == ("tiny", "1", "ready", 2)
        repository.rename(repository.with_name("away"))
        with pytest.raises(NotReadyError, match="is not a directory"):
            call(server.address, "load_model", "tiny")


def test_it_is_off_unless_it_is_turned_on(call, repository):
    with server_thread(repository) as server:
        for method, *arguments in [("load_model", "tiny"), ("unload_model", "tiny"), ("reload_repository",)]:
            with pytest.raises(UnknownMethodError, match="ModelControlService"):
                call(server.address, method, *arguments)


async def test_a_change_goes_on_although_its_caller_has_gone(repository):
    begun, go_on = threading.Event(), threading.Event()

    def load(path: Path) -> Explainer:
        if begun.is_set():
            assert go_on.wait(PATIENCE)
        return Explainer(path)

    async with running_server(repository, load, **CONTROL) as server, AsyncClient(server.address) as client:
        begun.set()
        await client.unload_model("tiny")
        loading = asyncio.ensure_future(client.load_model("tiny", "1"))
        waiting = asyncio.ensure_future(client.load_model("tiny", "2"))
        while (await client.list_models())[0].state != "loading":
            await asyncio.sleep(0.01)
        for given_up in (loading, waiting):
            given_up.cancel()
        await asyncio.gather(loading, waiting, return_exceptions=True)
        go_on.set()
        async with asyncio.timeout(PATIENCE):
            while {model.state for model in await client.list_models()} != {"ready"}:
                await asyncio.sleep(0.01)


def test_the_command(repository):
    with server_thread(repository, **CONTROL) as server:
        unloaded = run_camgraph("models", "--server", server.address, "--unload", "tiny/1", "--unload", "tiny/2")
        assert unloaded.stdout.count("It was unloaded") == 2
        write_model(repository, "tiny", 3, NEW)
        loaded = run_camgraph("models", "--server", server.address, "--load", "tiny/1", "--reload")
        assert loaded.stdout.count("ready") == 2
        assert loaded.stdout.count("unloaded") == 2  # the state, and the reason
        unknown = run_camgraph("models", "--server", server.address, "--load", "nobody")
    assert unknown.returncode == 2
    assert unknown.stderr.startswith("Error: There is no model 'nobody' here")
