"""`camgraph doctor`: what this machine gives."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest
from click.testing import CliRunner

from camgraph_cli.main import cli
from camgraph_runtime.run import libraries
from camgraph_runtime.run.machine import available_memory, cpu_abilities, look_at_machine
from camgraph_runtime.run.onnx_runtime import cpu_saturates_int8
from camgraph_runtime.run.providers import CPU, CUDA
from camgraph_runtime.run.threads import available_cores
from camgraph_server.assembly import Assembly
from camgraph_server.config import ServerConfig
from camgraph_server.models.batching import worker_count
from camgraph_server.models.loading import memory_limit
from support.fake_backend import FakeBackend
from support.serving import write_model


def test_what_this_machine_gives():
    result = CliRunner().invoke(cli, ["doctor", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert CPU in found["providers"]
    assert found["saturates_int8"] == cpu_saturates_int8()
    assert found["cores"] == available_cores()
    assert found["memory"] == available_memory()


def test_a_cpu_that_saturates_is_told(saturating):
    result = CliRunner().invoke(cli, ["doctor"])
    assert "default kernels saturate; camgraph takes exact ones" in result.output


@pytest.mark.parametrize("saturates", [True, False])
def test_a_machine_that_a_backend_plays(saturates):
    machine = look_at_machine(FakeBackend([CUDA, CPU], saturates=saturates))
    assert machine.providers == (CUDA, CPU)
    assert machine.saturates_int8 == saturates


@pytest.mark.parametrize(
    ("group", "file", "text", "limited"),
    [
        ("0::/app", "app/memory.max", "1048576", True),
        ("0::/app/worker", "app/memory.max", "1048576", True),
        ("0::/app", "app/memory.max", "max", False),
        ("4:memory:/app", "memory/app/memory.limit_in_bytes", "1048576", True),
        ("4:cpu:/app", "memory/app/memory.limit_in_bytes", "1048576", False),
    ],
)
def test_memory_is_cut_down_to_the_limit_of_a_control_group(group, file, text, limited, tmp_path):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(f"{group}\n")
    path = tmp_path / "sys/fs/cgroup" / file
    path.parent.mkdir(parents=True)
    path.write_text(f"{text}\n")
    assert (available_memory(tmp_path) == 2**20) == limited


@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_memory_is_cut_down_to_a_limit_of_the_process(limit):
    code = (
        f"import resource; resource.setrlimit(resource.{limit}, (2**32, 2**32))\n"
        "from camgraph_runtime.run.machine import available_memory; print(available_memory())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(run.stdout) <= 2**32


def test_what_a_server_takes_is_what_it_decides_itself(tmp_path):
    found = json.loads(CliRunner().invoke(cli, ["doctor", "--json"]).output)
    config = ServerConfig(tmp_path)
    assert found["server"]["workers"] == worker_count(config)
    memory = found["server"]["memory"]
    assert memory["requests"] + memory["images"] + memory["answers"] <= memory_limit(config)
    assert memory["images"] == Assembly(config).budgets["images"].size
    assert "models" not in found


def test_each_model_of_a_repository_has_its_state(tmp_path):
    write_model(tmp_path)
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    threads = set(threading.enumerate())
    result = CliRunner().invoke(cli, ["doctor", "--json", "--model-repository", str(tmp_path)])
    assert result.exit_code == 1
    models = {model["name"]: model for model in json.loads(result.output)["models"]}
    assert models["tiny"]["state"] == "ready", models
    assert models["broken"]["state"] == "failed"
    for thread in set(threading.enumerate()) - threads:
        thread.join(10)  # a timer that was cancelled ends a moment later
    assert not set(threading.enumerate()) - threads
    table = CliRunner().invoke(cli, ["doctor", "--model-repository", str(tmp_path)]).output
    assert "tiny 1 ready" in table
    assert "(a run takes " in table
    assert models["tiny"]["run"] > 0
    assert models["broken"]["run"] is None
    server = json.loads(result.output)["server"]
    assert server["left_for_runs"] <= server["memory"]["models"] - server["workers"] * models["tiny"]["run"]
    assert "MiB are left for them beside the models" in table
    assert models["broken"]["reason"] in table


def test_a_library_that_cannot_be_loaded_is_named_with_the_reason(tmp_path, monkeypatch):
    broken = tmp_path / "libonnxruntime_providers_cuda.so"
    broken.write_bytes(b"no library")
    monkeypatch.setattr(libraries, "_provider_libraries", lambda: [broken])
    result = CliRunner().invoke(cli, ["doctor"])
    assert result.exit_code == 1
    assert "FAILS" in result.output
    assert "libonnxruntime_providers_cuda.so: " in result.output
    assert "invalid ELF header" in result.output or "file too short" in result.output


_EDGE = """
import sys
for name in ("grpc", "onnx", "onnx_ir", "threadpoolctl", "rich", *sys.argv[1:]):
    sys.modules[name] = None
from camgraph_cli.main import cli
cli(["doctor"])
"""


@pytest.mark.parametrize("lacking", [[], ["onnxruntime"]])
def test_it_runs_where_a_part_of_the_installation_does_not(lacking):
    done = subprocess.run(
        [sys.executable, "-c", _EDGE, *lacking], capture_output=True, text=True, timeout=60, check=False
    )
    assert "Cores" in done.stdout, done.stderr
    assert "Server" not in done.stdout
    assert ("none: onnxruntime" in done.stdout) == bool(lacking)


@pytest.mark.parametrize(
    ("text", "abilities"),
    [
        ("processor: 0\nflags\t\t: fpu avx2 sse avx512_vnni\n", ("avx2", "avx512_vnni")),
        ("processor: 0\nFeatures\t: fp asimd asimddp i8mm\n", ("asimddp", "i8mm")),
        ("nothing", ()),
    ],
)
def test_abilities_of_the_cpu(tmp_path, text, abilities):
    (tmp_path / "cpuinfo").write_text(text)
    assert cpu_abilities(tmp_path / "cpuinfo") == abilities
    assert cpu_abilities(tmp_path / "absent") == ()
