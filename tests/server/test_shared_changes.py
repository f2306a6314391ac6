"""Loading and unloading by calls to several processes: whichever is asked, all do it, and later ones have it, too."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import tritonclient.grpc.aio as triton

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1 import model_control_pb2 as control_pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph.v1.model_control_pb2_grpc import ModelControlServiceStub
from camgraph_wire.enums import MODEL_STATES
from support.serving import PATIENCE, ServerProcess, server_process, write_model
from support.workers import fresh_channel, listeners, until, workers_of

TWO = ("--processes", "2", "--workers", "1", "--model-control", "--reload-interval", "0")
MANY = 20
"""Connections, each of which the kernel gives to one of the processes."""

ORDERS = """
import os, sys, time
if sys.argv == ["-c"]:  # a worker's process alone
    from camgraph_core.errors import InvalidGraphError
    from camgraph_server.models import file_loader
    load, orders = file_loader.load_checked, os.environ["ORDERS"]
    def ordered(*arguments):
        while any(os.path.exists(f"{orders}/wait-{who}") for who in (os.getpid(), "all")):
            time.sleep(0.02)
        if os.path.exists(f"{orders}/fail-{os.getpid()}"):
            raise InvalidGraphError("It cannot be loaded in this process.")
        return load(*arguments)
    file_loader.load_checked = ordered
"""


@pytest.fixture
def orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files have a worker wait before it loads a model, or fail to: `wait-PID`, `fail-PID`."""
    folder = tmp_path / "orders"
    folder.mkdir()
    (tmp_path / "sitecustomize.py").write_text(ORDERS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("ORDERS", str(folder))
    return folder


async def changed(address: str, rpc: str, name: str = "tiny", version: str = "") -> Any:
    """What a change that one process is asked for is answered: the status, or OK."""
    request = getattr(control_pb, f"{rpc}Request")
    async with fresh_channel(address) as channel:
        call = getattr(ModelControlServiceStub(channel), rpc)
        asked = request() if rpc == "ReloadRepository" else request(name=name, version=version)
        try:
            await call(asked, timeout=PATIENCE)
        except grpc.RpcError as error:
            return error.code().name, error.details()
        return "OK", ""


async def everywhere(address: str) -> dict[str, str]:
    """The state of each version, which must be the same on many connections, and so must the reason."""
    found = []
    for _ in range(MANY):
        async with fresh_channel(address) as channel:
            models = (await ExplanationServiceStub(channel).ListModels(pb.ListModelsRequest(), timeout=PATIENCE)).models
            states = {f"{each.name}/{each.version}": (MODEL_STATES.name(each.state), each.reason) for each in models}
            found.append(states)
    assert all(each == found[0] for each in found), found
    return {version: state for version, (state, _) in found[0].items()}


async def replaced(server: ServerProcess, victim: int) -> None:
    """Kills a worker and waits until another one listens in its place."""
    os.kill(victim, signal.SIGKILL)
    await until(lambda: victim not in workers_of(server) and len(workers_of(server)) == 2 and listeners(server) == 2)


async def test_a_change_by_a_call_to_one_is_seen_everywhere_and_outlives_a_worker(repository):
    write_model(repository, "tiny", 2)
    with server_process(repository, *TWO) as server:
        address = server.address
        assert await everywhere(address) == {"tiny/1": "ready", "tiny/2": "ready"}
        assert await changed(address, "UnloadModel", version="2") == ("OK", "")
        assert await everywhere(address) == {"tiny/1": "ready", "tiny/2": "unloaded"}
        await replaced(server, workers_of(server)[0])
        assert await everywhere(address) == {"tiny/1": "ready", "tiny/2": "unloaded"}
        write_model(repository, "tiny", 3)
        assert await changed(address, "LoadModel") == ("OK", "")
        assert await everywhere(address) == dict.fromkeys(("tiny/1", "tiny/2", "tiny/3"), "ready")
        for victim in workers_of(server):
            await replaced(server, victim)
        assert await everywhere(address) == dict.fromkeys(("tiny/1", "tiny/2", "tiny/3"), "ready")
        for rpc in ("LoadModel", "UnloadModel"):
            status, text = await changed(address, rpc, "tinny")
            assert (status, "'tiny'" in text) == ("NOT_FOUND", True)
        write_model(repository, "tiny", 4)
        assert await changed(address, "ReloadRepository") == ("OK", "")
        assert (await everywhere(address))["tiny/4"] == "ready"
        server.signal(signal.SIGTERM)
        code, log = await asyncio.to_thread(server.wait)
    assert code == 0, log


async def test_a_single_process_that_is_replaced_has_it_too(repository):
    with server_process(repository, "--supervised", *TWO[2:]) as server:
        [victim] = workers_of(server)
        assert await changed(server.address, "UnloadModel") == ("OK", "")
        os.kill(victim, signal.SIGKILL)
        await until(lambda: victim not in workers_of(server) and listeners(server) == 1)
        assert await everywhere(server.address) == {"tiny/1": "unloaded"}
        assert await changed(server.address, "LoadModel") == ("OK", "")
        assert await everywhere(server.address) == {"tiny/1": "ready"}


async def test_both_other_protocols_reach_all(repository):
    with server_process(repository, *TWO, "--http", "127.0.0.1:0") as server:
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            url = f"http://{server.http_address}/v2/repository/models/tiny"
            assert (await client.post(f"{url}/unload")).status_code == 200
            assert await everywhere(server.address) == {"tiny/1": "unloaded"}
            assert (await client.post(f"{url}/load")).status_code == 200
            assert await everywhere(server.address) == {"tiny/1": "ready"}
        async with triton.InferenceServerClient(server.address) as client:
            await client.unload_model("tiny")
            assert await everywhere(server.address) == {"tiny/1": "unloaded"}
            await client.load_model("tiny")
            assert await everywhere(server.address) == {"tiny/1": "ready"}


async def test_what_one_process_cannot_load_is_loaded_in_none(repository, orders):
    with server_process(repository, *TWO) as server:
        address = server.address
        (repository / "torn.onnx").write_bytes(b"torn")
        status, text = await changed(address, "LoadModel", "torn")
        assert (status, "torn.onnx cannot be loaded" in text) == ("FAILED_PRECONDITION", True)
        assert await everywhere(address) == {"tiny/1": "ready", "torn/1": "failed"}
        assert await changed(address, "UnloadModel") == ("OK", "")
        refuses = orders / f"fail-{workers_of(server)[1]}"
        refuses.touch()
        for _ in range(4):  # whichever is asked
            status, text = await changed(address, "LoadModel")
            assert (status, "cannot be loaded in this process" in text) == ("FAILED_PRECONDITION", True)
            assert await everywhere(address) == {"tiny/1": "unloaded", "torn/1": "failed"}
        refuses.unlink()
        assert await changed(address, "LoadModel") == ("OK", "")
        assert await everywhere(address) == {"tiny/1": "ready", "torn/1": "failed"}


async def test_what_serves_goes_on_where_one_process_cannot_load_its_successor(repository, orders):
    with server_process(repository, *TWO) as server:
        path = write_model(repository)
        os.utime(path, (1, 1))  # other files, as the server sees it
        (orders / f"fail-{workers_of(server)[0]}").touch()
        status, text = await changed(server.address, "LoadModel")
        assert (status, "serves as it was before" in text) == ("FAILED_PRECONDITION", True)
        assert await everywhere(server.address) == {"tiny/1": "ready"}


async def test_who_takes_too_long_is_waited_for_no_longer_than_the_bound(repository, orders):
    with server_process(repository, *TWO, "--load-timeout", "1") as server:
        assert await changed(server.address, "UnloadModel") == ("OK", "")
        waits = orders / f"wait-{workers_of(server)[0]}"
        waits.touch()
        status, text = await changed(server.address, "LoadModel")
        assert status in {"FAILED_PRECONDITION", "UNAVAILABLE"}  # the latter from the process that is late itself
        assert "1 of 2 processes did not load it within 1 s" in text
        waits.unlink()
        assert await changed(server.address, "LoadModel") == ("OK", "")
        assert await everywhere(server.address) == {"tiny/1": "ready"}


async def test_a_worker_that_dies_while_it_loads_holds_nobody_up(repository, orders):
    with server_process(repository, *TWO) as server:
        assert await changed(server.address, "UnloadModel") == ("OK", "")
        victim, other = workers_of(server)
        (orders / f"wait-{victim}").touch()
        (orders / f"wait-{other}").touch()
        loading = [asyncio.ensure_future(changed(server.address, "LoadModel")) for _ in range(6)]
        await asyncio.sleep(0.5)
        (orders / f"wait-{other}").unlink()
        await replaced(server, victim)
        outcomes = [status for status, _ in await asyncio.gather(*loading)]
        assert set(outcomes) <= {"OK", "UNAVAILABLE"}  # the latter from the one that died
        assert await changed(server.address, "LoadModel") == ("OK", "")
        assert await everywhere(server.address) == {"tiny/1": "ready"}


async def test_a_worker_that_starts_meanwhile_listens_when_it_has_followed(repository, orders):
    with server_process(repository, *TWO) as server:
        (orders / "wait-all").touch()
        victim = workers_of(server)[0]
        os.kill(victim, signal.SIGKILL)
        await until(lambda: victim not in workers_of(server) and len(workers_of(server)) == 2)
        assert await changed(server.address, "UnloadModel") == ("OK", "")  # by the one that is left
        (orders / "wait-all").unlink()
        await until(lambda: listeners(server) == 2)
        assert await everywhere(server.address) == {"tiny/1": "unloaded"}
