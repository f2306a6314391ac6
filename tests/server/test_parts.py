"""Settings, worker pool, tensors: the parts that need no server."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading

import pytest

from camgraph_core.errors import UnavailableError, UsageError
from camgraph_runtime.run.stop import Stop
from camgraph_server.config import ServerConfig
from camgraph_server.config.limits import MIB
from camgraph_server.models.batching import worker_count
from camgraph_server.models.changes import OwnChanges
from camgraph_server.models.keeper import Keeper
from camgraph_server.models.loading import memory_limit, model_memory
from camgraph_server.processes.restarts import Restarts
from camgraph_server.scheduling.gate import Gate
from camgraph_server.scheduling.scheduler import Scheduler
from support.serving import PATIENCE


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("workers", -1),
        ("queue_capacity", -1),
        ("max_request_mib", 0),
        ("max_response_mib", 0),
        ("max_megapixels", 0.0),
        ("max_megapixels", float("inf")),
        ("max_request_mib", 2048),
        ("max_response_mib", 2048),
        ("workers", 100_000),
        ("grace", float("nan")),
        ("max_connection_age", 1e10),
        ("max_targets", 0),
        ("grace", -1.0),
        ("max_connection_age", -1.0),
        ("tls_key", "key.pem"),
    ],
)
def test_settings_out_of_range(tmp_path, setting, value):
    with pytest.raises(UsageError, match=setting.replace("_", "-")):
        ServerConfig(tmp_path, **{setting: value})


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("127.0.0.1", "not HOST:PORT"),
        ("localhost", "not HOST:PORT"),
        ("127.0.0.1:", "not HOST:PORT"),
        (":8500", "not HOST:PORT"),
        ("127.0.0.1:99999", "the last one is 65535"),
        ("127.0.0.1:-1", "not HOST:PORT"),
        ("127.0.0.1:http", "not HOST:PORT"),
        ("::1:8500", "not HOST:PORT"),
        ("dns:///localhost:8500", "not HOST:PORT"),
        ("unix:", "names no socket"),
        ("", "not HOST:PORT"),
    ],
)
def test_an_address_means_what_it_says(tmp_path, address, text):
    with pytest.raises(UsageError, match=text):
        ServerConfig(tmp_path, listen=address)


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:8500", "localhost:8500", "0.0.0.0:65535", "unix:/run/x"])
def test_addresses(tmp_path, address):
    assert ServerConfig(tmp_path, listen=address).listen == address


def test_workers_follow_the_usable_cores(tmp_path, monkeypatch):
    monkeypatch.setattr("camgraph_server.models.batching.available_cores", lambda: 7)
    assert worker_count(ServerConfig(tmp_path)) == 7
    assert worker_count(ServerConfig(tmp_path, workers=3)) == 3
    assert worker_count(ServerConfig(tmp_path, max_batch_size=4)) == 7 + 2 * 4
    assert worker_count(ServerConfig(tmp_path, processes=2)) == 3
    assert worker_count(ServerConfig(tmp_path, processes=20)) == 1


@pytest.mark.parametrize(("settings", "requests", "models"), [({}, 50, 40), ({"processes": 2}, 25, 20)])
def test_processes_share_the_memory(settings, requests, models, tmp_path, monkeypatch):
    monkeypatch.setattr("camgraph_server.models.loading.available_memory", lambda: 100 * MIB)
    config = ServerConfig(tmp_path, **settings)
    assert (memory_limit(config), model_memory(config)) == (requests * MIB, models * MIB)
    config = ServerConfig(tmp_path, max_memory_mib=requests, max_model_memory_mib=models, processes=1)
    assert (memory_limit(config), model_memory(config)) == (requests * MIB, models * MIB)


@pytest.mark.parametrize(
    ("lives", "delays"),
    [
        ([None, None, None], [0.1, 0.2, 0.4]),
        ([59.0, 59.0], [0.1, 0.2]),
        ([None, None, 61.0, None], [0.1, 0.2, 0.1, 0.2]),  # after a minute of service, earlier failures count no more
        ([None] * 12, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0, 30.0]),
    ],
)
def test_a_worker_that_ends_soon_is_started_later_each_time(lives, delays):
    restarts = Restarts()
    assert [restarts.delay_after(served) for served in lives] == pytest.approx(delays)
    assert restarts.is_hopeless == (restarts.in_a_row >= 3)


async def test_a_change_of_models_goes_on_although_its_caller_leaves():
    begun, release, done = threading.Event(), threading.Event(), list[str]()

    class Models:
        def load_model(self, name: str, _: str) -> None:
            begun.set()
            release.wait(PATIENCE)
            done.append(name)

    keeper = Keeper(lambda: None, 0, lambda: None)
    changes = OwnChanges(Models(), keeper)  # type: ignore[arg-type]  # it is asked for nothing else
    calls = [asyncio.ensure_future(changes.load(name, "")) for name in ("first", "second")]
    await asyncio.to_thread(begun.wait, PATIENCE)
    for call in calls:  # the first is being made, the second waits
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    release.set()
    assert await asyncio.wrap_future(keeper.ask(lambda: list(done))) == ["first", "second"]
    assert await asyncio.to_thread(keeper.stop, PATIENCE)


def test_the_server_needs_neither_onnx_nor_torch():
    hidden = "".join(f"sys.modules[{name!r}] = None; " for name in ("onnx", "onnx_ir", "torch", "camgraph_client"))
    code = f"import sys; {hidden}import camgraph_server.cli, camgraph_server.lifecycle"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE)


async def test_who_has_no_call_in_flight_is_drained_also_without_any_time():
    gate = Gate()
    assert await gate.drained(0)
    gate.enter()
    assert not await gate.drained(0)
    gate.leave()
    assert await gate.drained(0)


def test_a_keeper_that_stops_answers_what_it_has_taken(monkeypatch):
    """What is asked in the moment of a stop is done or refused, and never forgotten."""
    keeper = Keeper(lambda: None, 0, lambda: None)
    assert keeper.ask(lambda: 1).result(PATIENCE) == 1
    stopping = threading.Thread(target=keeper.stop, args=(PATIENCE,))

    def stop_meanwhile() -> int:
        stopping.start()
        stopping.join(0.2)
        return 0

    monkeypatch.setattr(keeper._asked, "qsize", stop_meanwhile)
    taken = keeper.ask(lambda: 2)
    stopping.join(PATIENCE)
    with contextlib.suppress(UnavailableError):
        assert taken.result(0) == 2


async def test_pool_never_runs_more_than_its_workers():
    pool, running, most = Scheduler(2, 10), 0, 0
    lock, release = threading.Lock(), threading.Event()

    def work(_: Stop, __: float) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        release.wait(PATIENCE)
        with lock:
            running -= 1

    calls = [asyncio.ensure_future(pool.run(work)) for _ in range(6)]
    await asyncio.sleep(0.1)
    release.set()
    await asyncio.gather(*calls)
    assert most == 2
    assert pool.close(PATIENCE)
    with pytest.raises(UnavailableError, match="stopping"):
        await pool.run(work)


async def test_pool_has_room_again_after_an_error():
    pool = Scheduler(1, 0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await pool.run(lambda _, __: 1 / 0)
    assert await pool.run(lambda _, waited: waited) < PATIENCE
    assert pool.close(PATIENCE)
