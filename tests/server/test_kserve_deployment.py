"""The resources of deploy/kserve: KServe's own classes take them, and their containers keep KServe's contract."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from camgraph_runtime import Explainer
from support.peers import Peer
from support.rest import body
from support.serving import PATIENCE, png, write_model

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kserve"
FILES = sorted(FOLDER.glob("*.yaml"))
NAME = "cat-classifier"
APPENDED = [
    "--model_name",
    NAME,
    "--predictor_host",
    f"{NAME}-predictor.default",
    "--http_port",
    "8080",
    "--workers",
    "4",
]
"""What KServe appends to the arguments of an explainer's container, with a containerConcurrency of 4."""


def read(name: str) -> dict[str, Any]:
    resource: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return resource


def container_of_runtime() -> dict[str, Any]:
    [container] = read("clusterservingruntime")["spec"]["containers"]
    return container


def container_of_explainer() -> dict[str, Any]:
    [container] = read("inferenceservice-explainer")["spec"]["explainer"]["containers"]
    return container


CONTAINERS = {
    "runtime": (container_of_runtime, []),
    "explainer": (container_of_explainer, APPENDED),
}


def misfits(peer: Peer, *paths: Path) -> list[str]:
    command = [peer.python, ROOT / "tests/support/kserve_resources.py", *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE, check=True)
    return done.stdout.splitlines()


@pytest.mark.timeout(200)
def test_kserves_own_classes_take_every_resource(peer: Callable[[str], Peer]):
    assert len(FILES) == 3
    assert misfits(peer("kserve"), *FILES) == []


SPOILED = {
    "a misspelled field": (lambda spec: spec["explainer"].update(minReplica=1), "has no field minReplica"),
    "a text for a number": (lambda spec: spec["explainer"].update(minReplicas="1"), "is '1', not int"),
    "a container without a name": (lambda spec: spec["explainer"]["containers"][0].pop("name"), "name"),
    "a misspelled field of a container": (
        lambda spec: spec["explainer"]["containers"][0].update(imagePullPolice="Always"),
        "has no field imagePullPolice",
    ),
    "no predictor": (lambda spec: spec.pop("predictor"), "predictor"),
}


@pytest.mark.timeout(200)
def test_the_check_finds_what_does_not_fit(peer: Callable[[str], Peer], tmp_path: Path):
    paths = {}
    for number, (case, (spoil, _)) in enumerate(SPOILED.items()):
        resource = read("inferenceservice-explainer")
        spoil(resource["spec"])
        paths[case] = tmp_path / f"{number}.yaml"
        paths[case].write_text(yaml.safe_dump(resource), encoding="utf-8")
    found = misfits(peer("kserve"), *paths.values())
    for case, (_, words) in SPOILED.items():
        lines = [line for line in found if line.startswith(f"{paths[case]}: ")]
        assert len(lines) == 1, (case, found)
        assert words in lines[0]


@contextmanager
def started(container: dict[str, Any], appended: list[str], models: Path) -> Iterator[str]:
    """Starts what the container would, on free ports, and gives the address of HTTP; it must stop by SIGTERM alone."""
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    environment["CAMGRAPH_SERVE_MODEL_REPOSITORY"] = str(models)
    for name in ("CAMGRAPH_SERVE_HTTP", "CAMGRAPH_SERVE_LISTEN"):
        environment[name] = "127.0.0.1:0"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [*container.get("command", ["camgraph"]), *container.get("args", []), *appended]
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(2 * PATIENCE, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        assert lines[1].startswith("listening for HTTP on "), process.communicate()[1]
        yield f"http://{lines[1].removeprefix('listening for HTTP on ').strip()}"
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate()
        assert process.returncode == 0, log
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_keeps_the_contract(name: str, tmp_path: Path):
    """Where models lie and who listens stands in its variables; its probes answer; it takes what KServe appends."""
    make, appended = CONTAINERS[name]
    container = make()
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    [port] = [entry["containerPort"] for entry in container["ports"]]
    assert container["name"] == "kserve-container"
    assert environment["CAMGRAPH_SERVE_MODEL_REPOSITORY"] == "/mnt/models"
    assert environment["CAMGRAPH_SERVE_HTTP"] == f"0.0.0.0:{port}"
    assert port == 8080
    write_model(tmp_path, NAME)
    with started(container, appended, tmp_path) as address, httpx.Client(base_url=address, timeout=PATIENCE) as client:
        for probe in ("readinessProbe", "livenessProbe"):
            asked = container[probe]["httpGet"]
            assert asked["port"] == port
            assert client.get(asked["path"]).status_code == 200
        assert client.get("/metrics").status_code == 200
        answer = client.post(f"/v1/models/{NAME}:explain", json=body())
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["explanations"]) == 1


def test_metrics_are_where_the_runtime_says():
    annotations = read("clusterservingruntime")["spec"]["annotations"]
    assert annotations == {"prometheus.kserve.io/port": "8080", "prometheus.kserve.io/path": "/metrics"}


PROGRAM = """
import asyncio, base64, json, sys
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

async def main(url, name, image):
    one = InferenceRESTClient(RESTConfig(protocol="v1", timeout=30))
    two = InferenceRESTClient(RESTConfig(protocol="v2", timeout=30))
    told = {
        "live": [await each.is_server_live(url) for each in (one, two)],
        "ready": [await two.is_server_ready(url), *[await each.is_model_ready(url, name) for each in (one, two)]],
    }
    instances = {"instances": [{"image": {"b64": base64.b64encode(image).decode()}, "target_rank": [2]}]}
    told["predicted"] = (await one.infer(url, instances, model_name=name))["predictions"][0][0]["label"]
    explained = (await one.explain(url, name, instances))["explanations"][0]
    told["explained"] = explained["statistics"][0]["target"]["label"]
    given = InferInput("image", [1], "BYTES")
    given.set_data_from_numpy(np.array([image], dtype=object), binary_data=True)
    answer = await two.infer(url, InferRequest(model_name=name, infer_inputs=[given]), model_name=name)
    [heatmap] = [output for output in answer.outputs if output.name == "heatmap"]
    told["heatmap"] = float(heatmap.as_numpy().sum())
    try:
        await one.explain(url, "nothing", instances)
    except Exception as error:
        told["refused"] = str(error)
    print(json.dumps(told))

asyncio.run(main(sys.argv[1], sys.argv[2], open(sys.argv[3], "rb").read()))
"""


@pytest.mark.timeout(200)
def test_kserves_client_calls_the_explainer_unchanged(peer: Callable[[str], Peer], tmp_path: Path):
    model = write_model(tmp_path / "models", NAME)
    (tmp_path / "cat.png").write_bytes(png())
    python = peer("kserve").python
    with started(container_of_explainer(), APPENDED, tmp_path / "models") as address:
        command = [python, "-W", "ignore", "-c", PROGRAM, address, NAME, tmp_path / "cat.png"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    expected = Explainer(model).explain(png())
    assert (told["live"], told["ready"]) == ([True, True], [True, True, True])
    assert told["predicted"] == expected.predictions[0].label
    assert told["explained"] == expected.predictions[1].label
    assert told["heatmap"] == pytest.approx(float(expected.explanations[0].heatmap.sum()), rel=1e-5)
    assert "There is no model 'nothing' here" in told["refused"]
