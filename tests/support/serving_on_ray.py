"""The application of deploy/ on Ray Serve, and what a test does to it."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import yaml

from camgraph_client import Client, Connection
from support.callers import Calls
from support.haproxy import free_port
from support.on_ray import environment
from support.peers import Peer
from support.serving import png, write_model

CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "ray-serve.yaml"
PROGRAM = Path(__file__).resolve().parent / "ray_serve.py"
HAPROXY = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_HAPROXY_NBTHREAD": "1",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
}
"""What each machine of a Ray is started with."""

PATIENCE = 180.0  # Ray takes long to start


@contextmanager
def serving(ray: Peer, folder: Path, cluster: str = "", cpus: float = 0.1) -> Iterator[str]:
    """The address at which the application of deploy/ answers, with two replicas that take little.

    Args:
        ray: The peer `ray`.
        folder: For the model, the log, and what Ray is told.
        cluster: Address of a Ray, on whose head alone HAProxy runs; by default one is started on this machine.
        cpus: What a replica takes.
    """
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    [application] = config["applications"]
    [deployment] = application["deployments"]
    write_model(folder / "models")
    application["args"] |= {"model-repository": str(folder / "models"), "allow-uncertified": True, "workers": 1}
    deployment["ray_actor_options"]["num_cpus"] = cpus
    config["proxy_location"] = "HeadOnly" if cluster else config["proxy_location"]
    config["http_options"]["port"], config["grpc_options"]["port"] = free_port(), free_port()
    file = folder / "ray-serve.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    settings = {
        **HAPROXY,
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [ray.python, PROGRAM, file, *([cluster] if cluster else [])],
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


def wait_for(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.1)
