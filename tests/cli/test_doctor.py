"""`camgraph doctor`: what this machine gives."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from camgraph_cli.main import cli
from camgraph_runtime.run.engine import cpu_saturates_int8
from camgraph_runtime.run.machine import available_memory, look_at_machine
from camgraph_runtime.run.providers import CPU, CUDA
from camgraph_runtime.run.threads import available_cores
from support.fake_backend import FakeBackend


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
