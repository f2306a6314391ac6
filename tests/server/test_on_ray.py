"""The service on Ray Serve by deploy/ray-serve.yaml, behind HAProxy: no call fails when a replica is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml

from camgraph_client import Client, Connection
from camgraph_core.errors import CamgraphError, InvalidInputError, NotFoundError
from camgraph_runtime import Explainer, Threads
from support.callers import Calls, calling
from support.haproxy import free_port
from support.on_ray import environment
from support.peers import Peer
from support.serving import png, write_model

CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "ray-serve.yaml"
PROGRAM = Path(__file__).resolve().parents[1] / "support" / "ray_serve.py"
PATIENCE = 180.0  # Ray takes long to start


@contextmanager
def serving(ray: Peer, folder: Path) -> Iterator[str]:
    """The address at which the application of deploy/ answers, with two replicas that take little."""
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    [application] = config["applications"]
    [deployment] = application["deployments"]
    write_model(folder / "models")
    application["args"] |= {"model-repository": str(folder / "models"), "allow-uncertified": True, "workers": 1}
    deployment["ray_actor_options"]["num_cpus"] = 0.1
    config["http_options"]["port"], config["grpc_options"]["port"] = free_port(), free_port()
    file = folder / "ray-serve.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    settings = {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [ray.python, PROGRAM, file],
            env=environment(**settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = next((line for line in process.stdout if line == "serving\n"), "")
        assert line, (folder / "log").read_text()
        yield f"127.0.0.1:{config['grpc_options']['port']}"
    finally:
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def replicas() -> list[int]:
    """The processes of Ray that are replicas of the application."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes()
        except OSError:  # it has ended
            continue
        if title.startswith(b"ray::ServeReplica:camgraph:camgraph"):
            found.append(int(folder.name))
    return found


@pytest.mark.timeout(400)
def test_the_service_answers_and_no_call_fails_when_a_replica_is_killed(
    peer: Callable[[str], Peer], tmp_path: Path
) -> None:
    others = set(replicas())
    with serving(peer("ray"), tmp_path) as address:
        ours = set(replicas()) - others
        assert len(ours) == 2
        _check_answers(address, tmp_path / "models/tiny/1/model.onnx")
        with calling(address, 4) as calls, streaming(address) as stream:
            calls.wait_for(20)
            for replica in ours:  # so that of the stream is among them
                os.kill(replica, signal.SIGKILL)
                calls.wait_for(40)
                _wait_for(lambda: len(set(replicas()) - others) == 2)
                stream.wait_for(20)
        assert calls.failed == stream.failed == []


@contextmanager
def streaming(address: str) -> Iterator[Calls]:
    """One caller with a single stream of images, until the end of the block."""
    calls, over = Calls(Counter([0])), threading.Event()

    def call() -> None:
        with Client(Connection(address, timeout=PATIENCE)) as client:
            images = iter(lambda: None if over.is_set() else png(), None)
            for outcome in client.model().explain_many(images):
                with calls.lock:
                    calls.failed += [] if outcome.error is None else [str(outcome.error)]
                    calls.answered[0] = outcome.index + 1

    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(call)
        try:
            yield calls
        finally:
            over.set()
        done.result(PATIENCE)


def _check_answers(address: str, model: Path) -> None:
    """Each call gives what it gives without Ray, and each error is the one of its kind."""
    wanted = Explainer(model, threads=Threads(intra_op=1)).explain(png()).explanations[0].heatmap
    with Client(Connection(address, timeout=PATIENCE)) as client:
        assert [model.name for model in client.list_models()] == ["tiny"]
        assert client.get_model("tiny").info.state == "ready"
        for chunked in (False, True):
            [explanation] = client.model(chunked=chunked).explain(png()).explanations
            assert np.array_equal(explanation.heatmap, wanted)
        results = [outcome.result for outcome in client.model().explain_many([png()] * 5)]
        assert all(np.array_equal(result.explanations[0].heatmap, wanted) for result in results)
        assert len(results) == 5
        refused: list[tuple[type[CamgraphError], Callable[[], object]]] = [
            (NotFoundError, lambda: client.model("gone").explain(png())),
            (InvalidInputError, lambda: client.model().explain(b"not a picture")),
            (NotFoundError, lambda: client.model("gone", chunked=True).explain(png())),
        ]
        for kind, call in refused:
            with pytest.raises(kind):
                call()


def _wait_for(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.1)
