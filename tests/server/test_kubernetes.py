"""deploy/kubernetes.yaml: Kubernetes takes it, and its numbers fit together."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from camgraph_core.settings import declared
from camgraph_server.config import ServerConfig
from support.peers import Peer

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "deploy" / "kubernetes.yaml"
PROCESSES_MIB = 210
"""What a process takes without models and requests, and its supervisor (docs/deployment.md)."""

_UNITS = {"Mi": 1, "Gi": 1024}


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    return {item["kind"]: item for item in yaml.safe_load_all(FILE.read_text(encoding="utf-8"))}


@pytest.fixture(scope="module")
def pod(resources: dict[str, Any]) -> Any:
    return resources["Deployment"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def environment(pod: Any) -> dict[str, str]:
    return {item["name"]: item["value"] for item in pod["containers"][0]["env"]}


def test_its_fields_are_those_of_kubernetes(peer: Callable[[str], Peer]) -> None:
    command = [peer("kserve").python, ROOT / "tests/support/kserve_resources.py", FILE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_each_variable_is_a_setting(environment: dict[str, str]) -> None:
    names = {f"CAMGRAPH_SERVE_{item.name}".replace("-", "_").upper() for item in declared(ServerConfig)}
    assert environment
    assert environment.keys() <= names


def test_what_the_server_may_take_fits_into_its_memory(pod: Any, environment: dict[str, str]) -> None:
    limit = pod["containers"][0]["resources"]["limits"]["memory"]
    requests = int(environment["CAMGRAPH_SERVE_MAX_MEMORY_MIB"])
    models = int(environment["CAMGRAPH_SERVE_MAX_MODEL_MEMORY_MIB"])
    assert PROCESSES_MIB + requests + models <= 0.9 * int(limit[:-2]) * _UNITS[limit[-2:]]


def test_a_server_has_time_to_answer_before_it_is_killed(pod: Any, environment: dict[str, str]) -> None:
    [_, pause] = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert pod["terminationGracePeriodSeconds"] > int(pause) + int(environment["CAMGRAPH_SERVE_GRACE"])


def test_the_service_is_headless_and_finds_the_servers(resources: dict[str, Any], pod: Any) -> None:
    service, deployment = resources["Service"]["spec"], resources["Deployment"]["spec"]
    assert service["clusterIP"] == "None"
    [port], [listens] = service["ports"], pod["containers"][0]["ports"]
    assert port["targetPort"] == listens["name"]
    labels = deployment["template"]["metadata"]["labels"]
    budget = resources["PodDisruptionBudget"]["spec"]
    for selector in (service["selector"], deployment["selector"]["matchLabels"], budget["selector"]["matchLabels"]):
        assert selector.items() <= labels.items()
    assert budget["minAvailable"] < deployment["replicas"]
