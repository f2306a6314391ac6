"""Nothing leaves the machine: onnxruntime's telemetry is off before it is imported."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from camgraph_runtime.run.onnx_runtime import OnnxRuntime

SWITCH = "ORT_DISABLE_TELEMETRY"
# onnxruntime's own switches: with one of them in the environment, these tests could not fail.
SWITCHES = (SWITCH, "ORT_RUNNING_UNIT_TESTS", "CI")
WAIT_S = 15  # the first look-up of a host comes about ten seconds after the import

LOADS_A_GRAPH = """
import sys, time
from camgraph_runtime.run.engine import Engine
from camgraph_runtime.run.int8 import PROBE_MODEL
Engine(PROBE_MODEL)
time.sleep(float(sys.argv[1]))
"""


def fresh_home(folder: Path) -> dict[str, str]:
    """The environment of a user who has never run anything and has set nothing."""
    kept = {name: value for name, value in os.environ.items() if name not in SWITCHES}
    return {**kept, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / ".cache")}


def run(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)


def can_trace(strace: str) -> bool:
    return subprocess.run([strace, "-o", os.devnull, "true"], capture_output=True, check=False).returncode == 0


def test_loading_a_graph_leaves_no_file_in_the_home(tmp_path: Path) -> None:
    """With telemetry, a device id and a database appear below the cache as soon as onnxruntime is imported."""
    run([sys.executable, "-c", LOADS_A_GRAPH, "0"], fresh_home(tmp_path))
    assert [*tmp_path.rglob("*")] == []


def test_loading_a_graph_opens_no_socket(tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None or not can_trace(strace):
        pytest.skip("Calls of the kernel are seen with strace, which is not installed or may not trace.")
    home, calls = tmp_path / "home", tmp_path / "calls"
    home.mkdir()
    traced = [strace, "-f", "-e", "trace=%network", "-o", str(calls)]
    run([*traced, sys.executable, "-c", LOADS_A_GRAPH, str(WAIT_S)], fresh_home(home))
    log = calls.read_text()
    assert "exited with 0" in log
    assert re.findall(r".*\w+\(.*", log) == []


@pytest.mark.parametrize("value", ["0", "", "1"])
def test_a_value_that_the_user_has_set_is_kept(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, value)
    OnnxRuntime()
    assert os.environ[SWITCH] == value


def test_the_container_image_sets_the_switch() -> None:
    dockerfile = Path(__file__).resolve().parents[2] / "Dockerfile"
    base = dockerfile.read_text().partition(" AS base\n")[2].partition("\nFROM ")[0]
    assert f"{SWITCH}=1" in base
